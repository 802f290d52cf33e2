"""PostgreSQL and JetStream as Prometheus metrics. Only the active relay exports them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from prometheus_client import REGISTRY, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from taskbell.kit.nats_usage import JetStreamFacts
from taskbell.relay.stores.repository import PostgresFacts

F = TypeVar("F")


class _Last(Collector, Generic[F]):
    """The last measurement; nothing while this relay does not measure."""

    def __init__(self) -> None:
        self._facts: F | None = None

    def show(self, facts: F) -> None:
        """Take a measurement in place of the one before."""
        self._facts = facts

    def forget(self) -> None:
        """Stop exporting."""
        self._facts = None

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of a scrape."""
        if self._facts is not None:
            yield from self.families(self._facts)

    def families(self, facts: F) -> Iterator[Metric]:
        """The metrics of a measurement."""
        raise NotImplementedError


class PostgresCollector(_Last[PostgresFacts]):
    """What PostgreSQL said."""

    def families(self, facts: PostgresFacts) -> Iterator[Metric]:
        """The metrics of a measurement."""
        database = facts.database
        yield GaugeMetricFamily(
            "taskbell_relay_database_bytes", "What the database takes on disk, indexes included.", database.bytes
        )
        connections = GaugeMetricFamily(
            "taskbell_relay_database_connections",
            "Connections to PostgreSQL by role; other counts those of foreign users and databases.",
            labels=("role",),
        )
        for role, count in facts.connections.items():
            connections.add_metric((role,), count)
        yield connections
        yield GaugeMetricFamily(
            "taskbell_relay_database_most_connections",
            "How many connections PostgreSQL accepts (max_connections).",
            database.most_connections,
        )
        transactions = CounterMetricFamily(
            "taskbell_relay_database_transactions_total",
            "Transactions of the database by outcome: committed, rolled_back. Many rolled back ones mean that "
            "statements fail or run into time limits.",
            labels=("outcome",),
        )
        transactions.add_metric(("committed",), database.commits)
        transactions.add_metric(("rolled_back",), database.rollbacks)
        yield transactions
        pages = CounterMetricFamily(
            "taskbell_relay_database_read_bytes_total",
            "Bytes of pages that statements read, by source: memory (PostgreSQL's own), disk (or the kernel's cache). "
            "If the share of disk grows, the hot part of the data does not fit in shared_buffers.",
            labels=("source",),
        )
        pages.add_metric(("memory",), database.bytes_from_memory)
        pages.add_metric(("disk",), database.bytes_from_disk)
        yield pages
        yield CounterMetricFamily(
            "taskbell_relay_database_log_bytes_total",
            "Bytes of write-ahead log: what replicas and archives have to take.",
            database.log_bytes,
        )
        yield CounterMetricFamily(
            "taskbell_relay_database_deadlocks_total",
            "Deadlocks that PostgreSQL ended. The API tries such a request again.",
            database.deadlocks,
        )
        yield CounterMetricFamily(
            "taskbell_relay_database_temporary_bytes_total",
            "Bytes of sorts and hashes that did not fit in work_mem. Taskbell's own statements need none.",
            database.temp_bytes,
        )
        yield GaugeMetricFamily(
            "taskbell_relay_database_waiting_locks",
            "Requests for locks that wait. Some at a moment are normal; if they stay, a transaction holds a lock for "
            "long, such as a migration's.",
            database.waiting_locks,
        )
        yield GaugeMetricFamily(
            "taskbell_relay_database_held_back_transactions",
            "Transactions that began since the oldest one that still writes. If it grows, a transaction stays open: "
            "vacuum cannot remove dead rows.",
            database.transactions_held_back,
        )
        yield GaugeMetricFamily(
            "taskbell_relay_database_unfrozen_transactions",
            "Age of the database in transactions. PostgreSQL refuses writes at 2,000 million; autovacuum begins to "
            "freeze at 200 million.",
            database.transactions_not_frozen,
        )
        yield GaugeMetricFamily(
            "taskbell_relay_database_replicas", "Replicas that are connected to PostgreSQL.", database.replicas
        )
        yield GaugeMetricFamily(
            "taskbell_relay_database_replica_lag_bytes",
            "Bytes of write-ahead log that the slowest replication slot has not confirmed, and that PostgreSQL keeps "
            "for it on its disk; 0 if there are no slots.",
            database.replica_lag_bytes,
        )
        yield from _tables(facts)


def _tables(facts: PostgresFacts) -> Iterator[Metric]:
    sizes = GaugeMetricFamily(
        "taskbell_relay_table_bytes",
        "What a table takes on disk with all its partitions, by part: data (rows and long texts), indexes.",
        labels=("table", "part"),
    )
    rows = GaugeMetricFamily(
        "taskbell_relay_table_rows",
        "Rows of a table with all its partitions, as PostgreSQL estimates, by state: live; dead ones wait for vacuum. "
        "More dead than live rows in a large table mean that vacuum does not keep up.",
        labels=("table", "state"),
    )
    partitions = GaugeMetricFamily(
        "taskbell_relay_table_partitions",
        "Partitions of a table, the default one included. Maintenance makes two periods ahead.",
        labels=("table",),
    )
    outside = GaugeMetricFamily(
        "taskbell_relay_table_outside_rows",
        "Rows in the default partition of a table, as PostgreSQL estimates. More than 0 means that maintenance has not "
        "run for two periods.",
        labels=("table",),
    )
    for table in facts.tables:
        sizes.add_metric((table.name, "data"), table.data_bytes)
        sizes.add_metric((table.name, "indexes"), table.index_bytes)
        rows.add_metric((table.name, "live"), table.live_rows)
        rows.add_metric((table.name, "dead"), table.dead_rows)
        if table.partitions:
            partitions.add_metric((table.name,), table.partitions)
            outside.add_metric((table.name,), table.rows_outside)
    yield from (sizes, rows, partitions, outside)


class JetStreamCollector(_Last[JetStreamFacts]):
    """What JetStream said."""

    def families(self, facts: JetStreamFacts) -> Iterator[Metric]:
        """The metrics of a measurement."""
        yield GaugeMetricFamily(
            "taskbell_relay_jetstream_bytes", "What all streams of the account take on disk.", facts.bytes
        )
        if facts.most_bytes is not None:
            yield GaugeMetricFamily(
                "taskbell_relay_jetstream_most_bytes",
                "What the account may store; missing if only the disk bounds it. At the bound NATS refuses events, "
                "and the relay waits.",
                facts.most_bytes,
            )
        messages = GaugeMetricFamily(
            "taskbell_relay_stream_messages",
            "Messages that a stream holds. TASKBELL_DEAD_LETTERS: what delivery gave up.",
            labels=("stream",),
        )
        size = GaugeMetricFamily("taskbell_relay_stream_bytes", "What a stream takes on disk.", labels=("stream",))
        last = GaugeMetricFamily(
            "taskbell_relay_stream_last_sequence",
            "Sequence of the newest message that a stream ever held. It starts again when the stream is rebuilt.",
            labels=("stream",),
        )
        consumers = GaugeMetricFamily(
            "taskbell_relay_stream_consumers",
            "Consumers of a stream: one of each gateway and API process, those of replays, and one of all workers.",
            labels=("stream",),
        )
        for stream in facts.streams:
            for family, value in (
                (messages, stream.messages),
                (size, stream.bytes),
                (last, stream.last_sequence),
                (consumers, stream.consumers),
            ):
                family.add_metric((stream.name,), value)
        yield from (messages, size, last, consumers)
        yield from _consumers(facts)


def _consumers(facts: JetStreamFacts) -> Iterator[Metric]:
    backlog = GaugeMetricFamily(
        "taskbell_relay_consumer_messages",
        "Messages of a consumer by state: pending wait for a worker, unacknowledged are with one, redelivered of these "
        "were with one before. If pending grows, add workers.",
        labels=("consumer", "state"),
    )
    for consumer in facts.consumers:
        backlog.add_metric((consumer.name, "pending"), consumer.pending)
        backlog.add_metric((consumer.name, "unacknowledged"), consumer.unacknowledged)
        backlog.add_metric((consumer.name, "redelivered"), consumer.redelivered)
    yield backlog


POSTGRES = PostgresCollector()
JETSTREAM = JetStreamCollector()
REGISTRY.register(POSTGRES)
REGISTRY.register(JETSTREAM)
