"""The operator: passes over objects, worker pools, its own health."""

from __future__ import annotations

from docs._generate.dashboards.boards.shared import lines, number, processes, quantiles
from docs._generate.dashboards.plan import Board, Query, Row

OPERATOR = Board(
    name="operator",
    title="Taskbell operator",
    meaning="Whether ReminderSchedules and WorkerPools are kept, and how pools decide their size.",
    rows=(
        Row(
            "Now",
            (
                number(
                    "Active operators",
                    "Operators that hold the Lease. Always one; the others are on standby.",
                    "short",
                    "sum(taskbell_operator_leader_ratio)",
                    runbook="TaskbellOperatorWithoutLeader",
                ),
                number(
                    "Waiting objects",
                    "Objects whose pass is due and waits. A number that stays above 0 means too few workers.",
                    "short",
                    "sum(taskbell_operator_queued_objects)",
                    warn=10,
                ),
                number(
                    "Passes, p99",
                    "One pass in a hundred takes longer. Seconds mean a slow API server or slow signals.",
                    "s",
                    "histogram_quantile(0.99, "
                    "sum by (le) (rate(taskbell_operator_reconcile_duration_seconds_bucket[R])))",
                    warn=1,
                    alarm=5,
                ),
                number(
                    "Lost events",
                    "Kubernetes events per second that the API server refused. Harmless: the status says the same.",
                    "cps",
                    "sum(rate(taskbell_operator_events_lost_total[R]))",
                ),
            ),
        ),
        Row(
            "Passes over objects",
            (
                lines(
                    "Passes by outcome",
                    "By kind. Failed ones are repeated with back-off; the log names the reason of each.",
                    "cps",
                    Query(
                        "sum by (kind, outcome) (rate(taskbell_operator_reconciles_total[R]))", "{{kind}} {{outcome}}"
                    ),
                ),
                lines(
                    "Duration of passes",
                    "By kind.",
                    "s",
                    *quantiles("taskbell_operator_reconcile_duration_seconds", by="kind"),
                ),
                lines(
                    "Objects that wait",
                    "By kind.",
                    "short",
                    Query("sum by (kind) (taskbell_operator_queued_objects)", "{{kind}}"),
                ),
                lines(
                    "Writes to the API server",
                    "Write requests per second by resource. Without changes only the Lease is written.",
                    "cps",
                    Query("sum by (resource) (rate(taskbell_operator_writes_total[R]))", "{{resource}}"),
                ),
                lines(
                    "Watches that run",
                    "1 while the leading operator hears of changes of a resource. At 0 its definition is missing or "
                    "the API server is away: /readyz tells which, and the watch comes back by itself.",
                    "short",
                    Query("max by (resource) (taskbell_operator_watch_up_ratio)", "{{resource}}"),
                ),
            ),
        ),
        Row(
            "Worker pools",
            (
                lines(
                    "Size of pools",
                    "recommended by the signals, desired after tolerance, policies and bounds, current.",
                    "short",
                    Query(
                        "max by (exported_namespace, pool, state) (taskbell_operator_pool_replicas)",
                        "{{exported_namespace}}/{{pool}} {{state}}",
                    ),
                ),
                lines(
                    "Signals",
                    "Last readings: messages pending and unacknowledged, or open connections.",
                    "short",
                    Query(
                        "max by (exported_namespace, pool, signal) (taskbell_operator_signal_value)",
                        "{{exported_namespace}}/{{pool}} {{signal}}",
                    ),
                ),
                lines(
                    "Scalings",
                    "Changes of a size. A pool that goes up and down all the time needs a longer stabilization.",
                    "cps",
                    Query(
                        "sum by (exported_namespace, pool, direction) (rate(taskbell_operator_scalings_total[R]))",
                        "{{exported_namespace}}/{{pool}} {{direction}}",
                        when_healthy=False,
                    ),
                ),
                lines(
                    "Signals that failed",
                    "Readings that failed. Meanwhile the size of the pool is held.",
                    "cps",
                    Query(
                        "sum by (exported_namespace, pool, signal) (rate(taskbell_operator_signal_failures_total[R]))",
                        "{{exported_namespace}}/{{pool}} {{signal}}",
                        when_healthy=False,
                    ),
                ),
            ),
        ),
        processes("operator"),
    ),
)
