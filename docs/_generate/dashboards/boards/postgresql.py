"""PostgreSQL, as the active relay sees it."""

from __future__ import annotations

from docs._generate.dashboards.boards.shared import lines, number
from docs._generate.dashboards.plan import Board, Query, Row

_ALL = "sum(max by (role) (taskbell_relay_database_connections)) / max(taskbell_relay_database_most_connections)"

POSTGRESQL = Board(
    name="postgresql",
    title="Taskbell PostgreSQL",
    meaning="Size, connections, transactions, locks, vacuum, partitions and replicas, as the active relay sees them "
    "with its own rights. CPU, memory and disk of the server are known to whoever runs it.",
    rows=(
        Row(
            "Now",
            (
                number("Size", "What the database takes on disk.", "bytes", "max(taskbell_relay_database_bytes)"),
                number(
                    "Connections in use",
                    "Share of max_connections. At 1 PostgreSQL refuses, and requests get a 503.",
                    "percentunit",
                    _ALL,
                    warn=0.8,
                    alarm=0.95,
                ),
                number(
                    "Waiting locks",
                    "Requests for locks that wait. If they stay, a transaction holds a lock for long.",
                    "short",
                    "max(taskbell_relay_database_waiting_locks)",
                    warn=5,
                    alarm=50,
                ),
                number(
                    "Replica lag",
                    "Bytes of write-ahead log that the slowest replication slot has not confirmed, and that fill the "
                    "disk.",
                    "bytes",
                    "max(taskbell_relay_database_replica_lag_bytes)",
                    warn=268435456,
                    alarm=2147483648,
                ),
                number(
                    "Rows outside partitions",
                    "Rows in default partitions. More than 0 means that maintenance has not run for two periods.",
                    "short",
                    "sum(max by (table) (taskbell_relay_table_outside_rows))",
                    warn=1,
                ),
                number(
                    "Age in transactions",
                    "PostgreSQL refuses writes at 2,000 million; autovacuum freezes from 200 million on.",
                    "short",
                    "max(taskbell_relay_database_unfrozen_transactions)",
                    warn=500000000,
                    alarm=1500000000,
                ),
            ),
        ),
        Row(
            "Work",
            (
                lines(
                    "Transactions per second",
                    "By outcome. Many rolled back ones mean that statements fail or run into time limits.",
                    "cps",
                    Query("max by (outcome) (rate(taskbell_relay_database_transactions_total[R]))", "{{outcome}}"),
                ),
                lines(
                    "Pages from memory",
                    "Share of pages that were found in shared_buffers. If it falls below 0.95 for long, give "
                    "PostgreSQL more memory.",
                    "percentunit",
                    Query(
                        'sum(rate(taskbell_relay_database_read_bytes_total{source="memory"}[R]))'
                        " / sum(rate(taskbell_relay_database_read_bytes_total[R]))",
                        "from memory",
                    ),
                ),
                lines(
                    "Write-ahead log",
                    "Bytes per second: what replicas and archives have to take.",
                    "Bps",
                    Query("max(rate(taskbell_relay_database_log_bytes_total[R]))", "written"),
                ),
                lines(
                    "Faults",
                    "Deadlocks that PostgreSQL ended, and bytes of sorts that did not fit in work_mem.",
                    "cps",
                    Query("max(rate(taskbell_relay_database_deadlocks_total[R]))", "deadlocks"),
                    Query("max(rate(taskbell_relay_database_temporary_bytes_total[R]))", "bytes of sorts on disk"),
                ),
            ),
        ),
        Row(
            "Saturation",
            (
                lines(
                    "Connections by role",
                    "The API's role may hold 70 % of max_connections, every other one 25 %.",
                    "short",
                    Query("max by (role) (taskbell_relay_database_connections)", "{{role}}"),
                    Query("max(taskbell_relay_database_most_connections)", "max_connections"),
                ),
                lines(
                    "Waiting for locks",
                    "Requests for locks that wait.",
                    "short",
                    Query("max(taskbell_relay_database_waiting_locks)", "waiting"),
                ),
                lines(
                    "Transactions held back",
                    "Transactions that began since the oldest one that still writes. If it grows, a transaction stays "
                    "open, and vacuum cannot remove dead rows.",
                    "short",
                    Query("max(taskbell_relay_database_held_back_transactions)", "held back"),
                ),
                lines(
                    "Reading the table of events",
                    "Time of a poll of the relay: the same small query again and again, and so a measure of the "
                    "server.",
                    "s",
                    Query(
                        "histogram_quantile(0.99, sum by (le) (rate(taskbell_relay_read_duration_seconds_bucket[R])))",
                        "p99",
                    ),
                ),
            ),
        ),
        Row(
            "Tables",
            (
                lines(
                    "Size by table",
                    "Rows and long texts with all partitions. Partitions of events, notifications and deliveries are "
                    "dropped by retention; tasks never.",
                    "bytes",
                    Query('max by (table) (taskbell_relay_table_bytes{part="data"})', "{{table}}"),
                ),
                lines(
                    "Size of indexes by table",
                    "If indexes grow and the data does not, they are bloated: REINDEX CONCURRENTLY.",
                    "bytes",
                    Query('max by (table) (taskbell_relay_table_bytes{part="indexes"})', "{{table}}"),
                ),
                lines(
                    "Dead rows",
                    "Share of rows that wait for vacuum, in tables of more than 1,000 rows. Above 0.3 for long, vacuum "
                    "does not keep up or is held back.",
                    "percentunit",
                    Query(
                        'max by (table) (taskbell_relay_table_rows{state="dead"})'
                        " / (sum by (table) (max by (table, state) (taskbell_relay_table_rows)) > 1000)",
                        "{{table}}",
                        when_healthy=False,
                    ),
                ),
                lines(
                    "Partitions",
                    "Partitions by table. A step at each new period; two periods are ahead.",
                    "short",
                    Query("max by (table) (taskbell_relay_table_partitions)", "{{table}}"),
                ),
            ),
        ),
        Row(
            "Replicas and growth",
            (
                lines(
                    "Replicas",
                    "Replicas that are connected.",
                    "short",
                    Query("max(taskbell_relay_database_replicas)", "connected"),
                ),
                lines(
                    "Lag of the slowest replica",
                    "Bytes of write-ahead log that its slot has not confirmed; 0 without slots.",
                    "bytes",
                    Query("max(taskbell_relay_database_replica_lag_bytes)", "lag"),
                ),
                lines(
                    "Growth",
                    "Bytes by which the database grew in the last hour.",
                    "bytes",
                    Query("max(delta(taskbell_relay_database_bytes[1h]))", "in an hour"),
                ),
                lines(
                    "Age in millions of transactions",
                    "Falls when autovacuum has frozen. PostgreSQL refuses writes at 2,000.",
                    "short",
                    Query("max(taskbell_relay_database_unfrozen_transactions) / 1000000", "age"),
                ),
            ),
        ),
    ),
)
