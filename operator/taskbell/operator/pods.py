"""Reads the pods of a target: their open connections, and which of them end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from taskbell.contract.worker_pools import WebSocketSignal
from taskbell.kit.clock import Clock
from taskbell.operator.cluster import PODS, Cluster
from taskbell.operator.plan.conditions import instant, parse_instant
from taskbell.operator.plan.draining import Ending
from taskbell.operator.plan.victims import DELETION_COST, Load
from taskbell.operator.words import in_words

Json = dict[str, Any]
_ANSWER_WITHIN = 5.0
"""Seconds within which a pod must have answered whole. The client's own timeout counts from byte to byte."""
_LARGEST_ANSWER = 2 * 2**20
"""Bytes of metrics that are read; a gateway has about 50 KiB. Anybody in a namespace may answer for a pod."""
_PLAIN = {"Accept-Encoding": "identity"}


class SocketsUnreadable(Exception):
    """The connections of a ready pod are unknown, so that a sum would be too small."""


class Pods:
    """Reads pods from the API server and their metrics from themselves."""

    def __init__(self, cluster: Cluster, http: httpx.AsyncClient, clock: Clock) -> None:
        """Take the sources."""
        self._cluster = cluster
        self._http = http
        self._clock = clock

    async def all(self, namespace: str, selector: str) -> list[Json]:
        """The pods that have not ended.

        Raises:
            ClusterRefused: The pods cannot be listed.
        """
        pods = await self._cluster.all(PODS, namespace, labels=selector)
        return [pod for pod in pods if pod.get("status", {}).get("phase") not in {"Succeeded", "Failed"}]

    async def loads(self, signal: WebSocketSignal, pods: Sequence[Json]) -> list[Load]:
        """The open connections of each ready pod.

        Raises:
            SocketsUnreadable: A pod does not answer or lacks the metric, or there are pods and none is ready.
        """
        running = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        ready = [pod for pod in running if _is_ready(pod)]
        if running and not ready:
            raise SocketsUnreadable(f"none of {len(running)} pods is ready")
        return await asyncio.gather(*(self._load(pod, signal) for pod in ready))

    async def endings(self, signal: WebSocketSignal | None, pods: Sequence[Json]) -> tuple[Ending, ...]:
        """The pods that were asked to end, oldest first; of one that does not answer the connections are unknown."""
        ending = [pod for pod in pods if "deletionTimestamp" in pod["metadata"]]
        found = await asyncio.gather(*(self._ending(pod, signal) for pod in ending))
        return tuple(sorted(found, key=lambda one: (one.since, one.pod)))

    async def _load(self, pod: Json, signal: WebSocketSignal) -> Load:
        connections = await self._connections(pod, signal)
        return Load(pod["metadata"]["name"], connections, pod["metadata"].get("annotations", {}).get(DELETION_COST))

    async def _ending(self, pod: Json, signal: WebSocketSignal | None) -> Ending:
        metadata = pod["metadata"]
        grace = float(metadata.get("deletionGracePeriodSeconds") or 0)
        until = parse_instant(metadata["deletionTimestamp"])
        assert until is not None  # noqa: S101 -- it has one
        since = until - timedelta(seconds=grace)  # Kubernetes writes the time at which it kills the pod
        connections = None
        if signal is not None and pod.get("status", {}).get("podIP"):
            with suppress(SocketsUnreadable):
                connections = await self._connections(pod, signal)
        return Ending(
            pod=metadata["name"],
            since=instant(since),
            lasting=max(0.0, self._clock.now() - since.timestamp()),
            grace=grace,
            connections=connections,
        )

    async def _connections(self, pod: Json, signal: WebSocketSignal) -> int:
        address = pod["status"]["podIP"]
        host = f"[{address}]" if ":" in address else address
        url = f"http://{host}:{signal.port}/metrics"
        try:
            async with asyncio.timeout(_ANSWER_WITHIN):
                text = await self._text(url)
            return parse_connections(text, signal.metric)
        except (httpx.HTTPError, TimeoutError, ValueError, OverflowError) as failed:
            raise SocketsUnreadable(f"{url}: {in_words(failed)}") from failed

    async def _text(self, url: str) -> str:
        """The metrics at an address.

        Raises:
            httpx.HTTPError: The pod does not answer, or not with status 2xx.
            ValueError: The answer is too large, compressed or no text.
        """
        async with self._http.stream("GET", url, headers=_PLAIN) as answer:
            answer.raise_for_status()
            if answer.headers.get("Content-Encoding", "identity") != "identity":
                raise ValueError("the answer is compressed, though that was not asked for")
            body = bytearray()
            async for chunk in answer.aiter_raw():
                body += chunk
                if len(body) > _LARGEST_ANSWER:
                    raise ValueError(f"the answer is larger than {_LARGEST_ANSWER} bytes")
        return body.decode()


def parse_connections(text: str, metric: str) -> int:
    """The sum of a gauge's series, at least 0.

    Raises:
        ValueError: The text is not in the metrics format, or the gauge is not in it.
    """
    families = text_string_to_metric_families(text)
    values = [sample.value for family in families for sample in family.samples if sample.name == metric]
    if not values:
        raise ValueError(f"there is no metric {metric}")
    return max(0, int(sum(values)))


def _is_ready(pod: Json) -> bool:
    status = pod.get("status", {})
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", []))
    return ready and bool(status.get("podIP"))
