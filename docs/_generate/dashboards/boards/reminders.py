"""Reminders: whether they fire, how late, and whether sweeps start."""

from __future__ import annotations

from docs._generate.dashboards.boards.shared import heat, lines, number, quantiles
from docs._generate.dashboards.plan import Board, Query, Row

_SCHEDULES = '{kind="ReminderSchedule"}'

REMINDERS = Board(
    name="reminders",
    title="Taskbell reminders",
    meaning="Whether reminders fire in time. The active relay measures it, because sweeps end too soon to be scraped.",
    rows=(
        Row(
            "Now",
            (
                number(
                    "Overdue",
                    "Reminders that are due and have not fired (counted up to 10,000).",
                    "short",
                    "max(taskbell_relay_reminders_overdue)",
                    warn=100,
                    alarm=10000,
                ),
                number(
                    "Oldest overdue",
                    "How long the oldest of them has been due. Minutes mean that no sweep runs.",
                    "s",
                    "max(taskbell_relay_reminders_oldest_overdue_seconds)",
                    warn=30,
                    alarm=120,
                    runbook="TaskbellRemindersLate",
                ),
                number(
                    "Lateness, p99",
                    "One reminder in a hundred fires later.",
                    "s",
                    "histogram_quantile(0.99, sum by (le) (rate(taskbell_relay_reminders_lateness_seconds_bucket[R])))",
                    warn=5,
                    alarm=30,
                    runbook="TaskbellRemindersSlow",
                ),
                number(
                    "Measured",
                    "Relays that measure reminders: the active one. 0 means that nobody knows whether they fire.",
                    "short",
                    "count(taskbell_relay_reminders_overdue)",
                    runbook="TaskbellRemindersUnwatched",
                ),
            ),
        ),
        Row(
            "Firing",
            (
                lines(
                    "Fired per second",
                    "Reminders that sweeps fired. Those of finished tasks do not fire.",
                    "cps",
                    Query("sum(rate(taskbell_relay_reminders_lateness_seconds_count[R]))", "fired"),
                ),
                lines(
                    "Lateness",
                    "How late reminders fired, by the database's clock. If p50 is late too, most wait for the next "
                    "sweep; if only p99, too much falls due at once: raise the shards.",
                    "s",
                    *quantiles("taskbell_relay_reminders_lateness_seconds"),
                    runbook="TaskbellRemindersSlow",
                ),
                heat(
                    "Distribution of lateness",
                    "How many reminders fired how late.",
                    "taskbell_relay_reminders_lateness_seconds",
                ),
            ),
        ),
        Row(
            "Waiting",
            (
                lines(
                    "Overdue reminders",
                    "After an outage of the sweeps this falls to 0 by itself.",
                    "short",
                    Query("max(taskbell_relay_reminders_overdue)", "overdue"),
                    runbook="TaskbellRemindersLate",
                ),
                lines(
                    "Oldest overdue reminder",
                    "How long the oldest reminder that has not fired has been due. Its slope is 1 while no sweep runs.",
                    "s",
                    Query("max(taskbell_relay_reminders_oldest_overdue_seconds)", "oldest"),
                    runbook="TaskbellRemindersLate",
                ),
                lines(
                    "Reminders in the database",
                    "Rows of the table, as PostgreSQL estimates: all that have not fired.",
                    "short",
                    Query('max by (state) (taskbell_relay_table_rows{table="reminders"})', "{{state}}"),
                ),
            ),
        ),
        Row(
            "Schedules",
            (
                lines(
                    "Passes over schedules",
                    "Passes of the operator over ReminderSchedules by outcome. Failed ones are repeated; the status "
                    "and the log tell why.",
                    "cps",
                    Query(f"sum by (outcome) (rate(taskbell_operator_reconciles_total{_SCHEDULES}[R]))", "{{outcome}}"),
                ),
                lines(
                    "Duration of passes",
                    "Seconds mean a slow API server.",
                    "s",
                    *quantiles("taskbell_operator_reconcile_duration_seconds", labels=_SCHEDULES),
                ),
                lines(
                    "Active operators",
                    "Without one, existing CronJobs still start sweeps.",
                    "short",
                    Query("sum(taskbell_operator_leader_ratio)", "active"),
                    runbook="TaskbellOperatorWithoutLeader",
                ),
            ),
        ),
    ),
)
