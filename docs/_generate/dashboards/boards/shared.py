"""Panels that several dashboards have, so that the same thing has the same name and the same place everywhere."""

from __future__ import annotations

from docs._generate.dashboards.plan import Kind, Panel, Query, Row


def lines(title: str, meaning: str, unit: str, *queries: Query, runbook: str | None = None) -> Panel:
    """Lines over time, without limits."""
    return Panel(title=title, meaning=meaning, unit=unit, queries=queries, runbook=runbook)


def number(
    title: str,
    meaning: str,
    unit: str,
    expression: str,
    *,
    warn: float | None = None,
    alarm: float | None = None,
    runbook: str | None = None,
) -> Panel:
    """The value now."""
    return Panel(
        title=title,
        meaning=meaning,
        unit=unit,
        queries=(Query(expression),),
        kind=Kind.NUMBER,
        warn=warn,
        alarm=alarm,
        runbook=runbook,
    )


def heat(title: str, meaning: str, histogram: str) -> Panel:
    """How often each duration of a histogram occurs."""
    query = Query(f"sum by (le) (increase({histogram}_bucket[R]))", "{{le}}")
    return Panel(title=title, meaning=meaning, unit="s", queries=(query,), kind=Kind.HEAT)


def quantiles(histogram: str, *, by: str = "", labels: str = "") -> tuple[Query, ...]:
    """The median and p99 of a histogram, by a label if one is named."""
    named, legend = (f"{by}, le", f"{{{{{by}}}}} ") if by else ("le", "")
    return tuple(
        Query(f"histogram_quantile({share}, sum by ({named}) (rate({histogram}_bucket{labels}[R])))", legend + name)
        for share, name in (("0.5", "p50"), ("0.99", "p99"))
    )


def share_of_failed_requests() -> Query:
    """The share of 5xx among all responses, 0 if there is none."""
    counted = "taskbell_api_request_duration_seconds_count"
    return Query(f'(sum(rate({counted}{{status=~"5.."}}[R])) or vector(0)) / sum(rate({counted}[R]))', "failed")


def failed_requests(title: str) -> Panel:
    """The share of failed requests now, with the limits of the objective."""
    return number(
        title,
        "Share of 5xx responses. The objective allows 0.1 % over 30 days.",
        "percentunit",
        share_of_failed_requests().expression,
        warn=0.001,
        alarm=0.0144,
        runbook="TaskbellApiErrors",
    )


def relay_behind(title: str) -> Panel:
    """How far behind the relay is now."""
    return number(
        title,
        "How long the active relay has been behind the database.",
        "s",
        "max(taskbell_relay_lag_seconds)",
        warn=1,
        alarm=10,
        runbook="TaskbellRelayStalled",
    )


def processes(component: str, *more: Panel) -> Row:
    """What the pods of a component use."""
    chosen = f'{{component="{component}"}}'
    return Row(
        "Saturation",
        (
            lines(
                "CPU by pod",
                "Cores in use. A pod is one process and cannot use more than about one: near 1 it is saturated.",
                "short",
                Query(f"sum by (pod) (rate(process_cpu_seconds_total{chosen}[R]))", "{{pod}}"),
            ),
            lines(
                "Memory by pod",
                "Resident memory. docs/scaling.md tells what each program holds at most, and the chart's limit.",
                "bytes",
                Query(f"sum by (pod) (process_resident_memory_bytes{chosen})", "{{pod}}"),
            ),
            lines(
                "Open files by pod",
                "Sockets and files, as a share of what the process may open. At 1 it refuses connections.",
                "percentunit",
                Query(f"max by (pod) (process_open_fds{chosen} / process_max_fds{chosen})", "{{pod}}"),
            ),
            lines(
                "Time since the start",
                "How long each pod's process has run. A line that begins again and again is a pod that restarts.",
                "s",
                Query(f"max by (pod) (time() - process_start_time_seconds{chosen})", "{{pod}}"),
            ),
            *more,
        ),
    )
