"""Reads the signals of a WorkerPool, all at once; one that fails is a reading with its error, not an exception."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from taskbell.contract.reminder_schedules import SecretKey
from taskbell.contract.worker_pools import JetStreamSignal, Signal, WebSocketSignal, WorkerPoolSpec
from taskbell.kit.clock import Clock
from taskbell.kit.nats_bus import BusUnavailable
from taskbell.kit.nats_consumers import ConsumerMissing, Consumers
from taskbell.operator.cluster import SECRETS, Cluster, ClusterRefused
from taskbell.operator.plan.need import Pace, Reading, Sample, observe, read_backlog, read_sockets
from taskbell.operator.signals.sockets import SocketsUnreadable, read_loads

Json = dict[str, Any]
_LEAST_SPAN = 5.0
"""Seconds between samples that show a pace; what a pass that is repeated sees in less is chance."""
_SCHEMES = {"nats", "tls", "ws", "wss"}


class AddressMissing(Exception):
    """There is no address of NATS where one was looked for."""


@dataclass(slots=True)
class Known:
    """What is remembered of a pool's consumers, by signal: the last sample and the pace."""

    samples: dict[str, Sample] = field(default_factory=dict)
    paces: dict[str, Pace] = field(default_factory=dict)


class Signals:
    """Reads JetStream and pods."""

    def __init__(
        self, cluster: Cluster, consumers: Consumers, http: httpx.AsyncClient, *, nats_url: str | None, clock: Clock
    ) -> None:
        """Take what is read from; `nats_url` is for signals that name no Secret."""
        self._cluster = cluster
        self._consumers = consumers
        self._http = http
        self._nats_url = nats_url
        self._clock = clock

    async def read(self, spec: WorkerPoolSpec, scale: Json, known: Known) -> Sequence[Reading]:
        """One reading for every signal, in their order; `scale` is the target's."""
        return await asyncio.gather(*(self._reading(signal, scale, known) for signal in spec.signals))

    async def _reading(self, signal: Signal, scale: Json, known: Known) -> Reading:
        try:
            if signal.jet_stream is not None:
                return await self._backlog(signal.name, signal.jet_stream, scale, known)
            if signal.web_socket is not None:
                return await self._sockets(signal.name, signal.web_socket, scale)
        except (ConsumerMissing, AddressMissing) as missing:
            known.samples.pop(signal.name, None)
            return Reading(name=signal.name, error=str(missing), missing=True)
        except (BusUnavailable, ClusterRefused, SocketsUnreadable) as failed:
            return Reading(name=signal.name, error=str(failed))
        return Reading(name=signal.name, error="neither jetStream nor webSocket is given", missing=True)

    async def _backlog(self, name: str, signal: JetStreamSignal, scale: Json, known: Known) -> Reading:
        namespace = scale["metadata"]["namespace"]
        url = await self._address(signal.connection_secret_ref, namespace)
        facts = await self._consumers.look(url, stream=signal.stream, consumer=signal.consumer)
        sample = Sample(
            at=self._clock.monotonic(),
            pending=facts.pending,
            unacked=facts.unacked,
            delivered=facts.delivered,
            pods=int(scale["status"].get("replicas", 0)),
        )
        before = known.samples.get(name)
        if before is None or sample.at - before.at >= _LEAST_SPAN:
            known.paces[name] = observe(known.paces.get(name, Pace()), before, sample)
            known.samples[name] = sample
        return read_backlog(name, signal, sample, known.paces[name], max_unacked=facts.max_unacked)

    async def _sockets(self, name: str, signal: WebSocketSignal, scale: Json) -> Reading:
        namespace, selector = scale["metadata"]["namespace"], scale["status"].get("selector", "")
        loads = await read_loads(self._cluster, self._http, signal, namespace=namespace, selector=selector)
        return read_sockets(name, signal, loads)

    async def _address(self, reference: SecretKey | None, namespace: str) -> str:
        if reference is None:
            if self._nats_url is None:
                raise AddressMissing("no connectionSecretRef, and the operator has no TASKBELL_NATS_URL")
            return self._nats_url
        secret = await self._cluster.get(SECRETS, namespace, reference.name)
        encoded = (secret or {}).get("data", {}).get(reference.key)
        if encoded is None:
            raise AddressMissing(f"Secret {reference.name} or its entry {reference.key} does not exist")
        try:
            return _address(base64.b64decode(encoded).decode())
        except ValueError:  # which may quote what it could not read
            raise AddressMissing(f"entry {reference.key} of Secret {reference.name} is no address of NATS") from None


def _address(text: str) -> str:
    """The address in a Secret, less the line end that an editor left.

    Raises:
        ValueError: It is none.
    """
    address = text.strip()
    parts = urlsplit(address if "://" in address else f"nats://{address}")
    if parts.scheme not in _SCHEMES or not parts.hostname or parts.port == 0:
        raise ValueError(parts.scheme)
    return address
