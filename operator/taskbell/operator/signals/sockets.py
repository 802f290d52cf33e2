"""Counts open connections by asking every ready pod for its metrics."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from taskbell.contract.worker_pools import WebSocketSignal
from taskbell.operator.cluster import PODS, Cluster
from taskbell.operator.plan.victims import DELETION_COST, Load

Json = dict[str, Any]


class SocketsUnreadable(Exception):
    """A ready pod did not tell its connections; the sum without it would be too small."""


async def read_loads(
    cluster: Cluster, http: httpx.AsyncClient, signal: WebSocketSignal, *, namespace: str, selector: str
) -> list[Load]:
    """The open connections of each ready pod.

    Raises:
        SocketsUnreadable: A pod does not answer or has no such metric, or there are pods and none is ready.
        ClusterRefused: The pods cannot be listed.
    """
    pods = await cluster.all(PODS, namespace, labels=selector)
    living = [pod for pod in pods if _is_living(pod)]
    ready = [pod for pod in living if _is_ready(pod)]
    if living and not ready:
        raise SocketsUnreadable(f"none of {len(living)} pods is ready")
    counts = await asyncio.gather(*(_ask(http, pod["status"]["podIP"], signal) for pod in ready))
    return [_load(pod, count) for pod, count in zip(ready, counts, strict=True)]


def _load(pod: Json, connections: int) -> Load:
    cost = pod["metadata"].get("annotations", {}).get(DELETION_COST)
    return Load(pod["metadata"]["name"], connections, cost)


def _is_living(pod: Json) -> bool:
    ended = pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}
    return not ended and "deletionTimestamp" not in pod["metadata"]


def _is_ready(pod: Json) -> bool:
    status = pod.get("status", {})
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", []))
    return ready and bool(status.get("podIP"))


async def _ask(http: httpx.AsyncClient, address: str, signal: WebSocketSignal) -> int:
    host = f"[{address}]" if ":" in address else address
    url = f"http://{host}:{signal.port}/metrics"
    try:
        answer = await http.get(url)
        answer.raise_for_status()
        return parse_connections(answer.text, signal.metric)
    except (httpx.HTTPError, ValueError, OverflowError) as failed:
        raise SocketsUnreadable(f"{url}: {failed!r}") from failed


def parse_connections(text: str, metric: str) -> int:
    """The sum of a gauge's series.

    Raises:
        ValueError: The text is no metrics, or the gauge is not in it.
    """
    values = [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == metric
    ]
    if not values:
        raise ValueError(f"there is no metric {metric}")
    return max(0, int(sum(values)))
