"""How late reminders are, as Prometheus metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate

from prometheus_client import REGISTRY, Metric
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import INF, floatToGoString

from taskbell.relay.lateness.repository import FiredBucket, Overdue

BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0)


class LatenessCollector(Collector):
    """The last measurement. While this relay does not measure, it exports no overdue reminders."""

    def __init__(self) -> None:
        """Start without a measurement."""
        self._overdue: Overdue | None = None
        self._fired = [0] * (len(BOUNDS) + 1)
        self._seconds = 0.0

    def show(self, overdue: Overdue, fired: Iterable[FiredBucket]) -> None:
        """Take a measurement: overdue reminders replace the previous ones, fired ones are added."""
        self._overdue = overdue
        for bucket in fired:
            self._fired[bucket.place] += bucket.reminders
            self._seconds += bucket.seconds

    def forget(self) -> None:
        """Stop exporting overdue reminders."""
        self._overdue = None

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of a scrape."""
        if self._overdue is not None:
            yield GaugeMetricFamily(
                "taskbell_relay_reminders_overdue",
                "Reminders that are due and have not fired (counted up to 10,000). Only the active relay exports it.",
                value=self._overdue.reminders,
            )
            yield GaugeMetricFamily(
                "taskbell_relay_reminders_oldest_overdue_seconds",
                "How long the oldest overdue reminder has been due, by the database's clock; 0 if there is none. "
                "Minutes mean that no sweep runs, or that more falls due than sweeps can fire. Only the active relay "
                "exports it.",
                value=self._overdue.oldest,
            )
        bounds = map(floatToGoString, (*BOUNDS, INF))
        yield HistogramMetricFamily(
            "taskbell_relay_reminders_lateness_seconds",
            "How late reminders fired, by the database's clock; counted by the active relay. Above some seconds, "
            "sweeps start late, or too much falls due at once: raise the shards.",
            buckets=list(zip(bounds, accumulate(self._fired), strict=True)),
            sum_value=self._seconds,
        )


LATENESS = LatenessCollector()
REGISTRY.register(LATENESS)
