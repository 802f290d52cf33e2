"""How far reports are summed up, as Prometheus metrics."""

from __future__ import annotations

from prometheus_client import Gauge

LAG_SECONDS = Gauge(
    "taskbell_relay_reports_lag_seconds",
    "Age of the oldest event that no sum of reports holds yet; reports read it one by one. The active relay measures "
    "it; the others export 0.",
)
REPAIRED_CELLS = Gauge(
    "taskbell_relay_reports_repaired_cells",
    "Sums of reports that maintenance has found wrong and put right since the installation. The active relay tells it; "
    "the others export 0.",
)
