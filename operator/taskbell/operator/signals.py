"""Reads the signals of a WorkerPool, all at the same time. A signal that cannot be read is a reading with an error."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import httpx

from taskbell.contract.reminder_schedules import SecretKey
from taskbell.contract.worker_pools import JetStreamSignal, Signal, WorkerPoolSpec
from taskbell.kit.clock import Clock
from taskbell.kit.nats_bus import BusUnavailable
from taskbell.kit.nats_consumers import ConsumerMissing, Consumers
from taskbell.operator.cluster import SECRETS, Cluster, ClusterRefused
from taskbell.operator.plan.draining import Ending
from taskbell.operator.plan.need import Pace, Reading, Sample, observe, read_backlog, read_sockets
from taskbell.operator.pods import Pods, SocketsUnreadable

Json = dict[str, Any]
_SCHEMES = {"nats", "tls", "ws", "wss"}


class AddressMissing(Exception):
    """The address of NATS is missing, or is not an address."""


class SignalReader:
    """Reads the backlogs of JetStream consumers and the connections of pods."""

    def __init__(
        self, cluster: Cluster, consumers: Consumers, http: httpx.AsyncClient, *, nats_url: str | None, clock: Clock
    ) -> None:
        """Take the sources; `nats_url` serves the signals without a `connectionSecretRef`."""
        self._cluster = cluster
        self._consumers = consumers
        self._pods = Pods(cluster, http, clock)
        self._nats_url = nats_url
        self._clock = clock

    async def read(self, spec: WorkerPoolSpec, scale: Json, paces: Mapping[str, Pace]) -> Sequence[Reading]:
        """One reading for each signal, in their order.

        `scale` is the target's; `paces` are those of the previous readings, by signal.
        """
        return await asyncio.gather(*(self._read(one, scale, paces.get(one.name, Pace())) for one in spec.signals))

    async def _read(self, signal: Signal, scale: Json, known: Pace) -> Reading:
        try:
            if signal.jet_stream is not None:
                return await self._backlog(signal.name, signal.jet_stream, scale, known)
            if signal.web_socket is not None:
                pods = await self._pods.all(scale["metadata"]["namespace"], scale["status"].get("selector", ""))
                loads = await self._pods.loads(signal.web_socket, pods)
                return read_sockets(
                    signal.name, signal.web_socket, loads, await self._pods.endings(signal.web_socket, pods)
                )
        except (ConsumerMissing, AddressMissing) as missing:
            return Reading(name=signal.name, error=str(missing), missing=True, pace=replace(known, sample=None))
        except (BusUnavailable, ClusterRefused, SocketsUnreadable) as failed:
            return Reading(name=signal.name, error=str(failed), pace=known)
        return Reading(name=signal.name, error="neither jetStream nor webSocket is given", missing=True)

    async def _backlog(self, name: str, signal: JetStreamSignal, scale: Json, known: Pace) -> Reading:
        url = await self._address(signal.connection_secret_ref, scale["metadata"]["namespace"])
        facts = await self._consumers.look(
            url, stream=signal.stream, consumer=signal.consumer, with_oldest=signal.max_message_age is not None
        )
        sample = Sample(
            at=self._clock.monotonic(),
            pending=facts.pending,
            unacked=facts.unacked,
            delivered=facts.delivered,
            pods=int(scale["status"].get("replicas", 0)),
            oldest=None if facts.oldest is None else max(0.0, self._clock.now() - facts.oldest),
        )
        return read_backlog(name, signal, sample, observe(known, sample), max_unacked=facts.max_unacked)

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
            return _nats_address(base64.b64decode(encoded).decode())
        except ValueError:  # its text may quote the Secret
            raise AddressMissing(f"entry {reference.key} of Secret {reference.name} is not a NATS address") from None

    async def endings(self, spec: WorkerPoolSpec, scale: Json, readings: Sequence[Reading]) -> tuple[Ending, ...]:
        """The pods of the target that end, oldest first, with their connections if the pool has a signal of them.

        A reading that found them is used. Pods that cannot be listed are none while a signal cannot be read: then the
        pool shrinks only to its greatest size, whichever pods end.

        Raises:
            ClusterRefused: The pods cannot be listed.
        """
        for reading in readings:
            if reading.endings is not None:
                return reading.endings
        try:
            pods = await self._pods.all(scale["metadata"]["namespace"], scale["status"].get("selector", ""))
        except ClusterRefused:
            if not any(reading.error for reading in readings):
                raise
            return ()
        sockets = next((signal.web_socket for signal in spec.signals if signal.web_socket is not None), None)
        return await self._pods.endings(sockets, pods)


def _nats_address(text: str) -> str:
    """The address in a Secret without the line end that an editor may have left.

    Raises:
        ValueError: The text is not an address.
    """
    address = text.strip()
    parts = urlsplit(address if "://" in address else f"nats://{address}")
    if parts.scheme not in _SCHEMES or not parts.hostname or parts.port == 0:
        raise ValueError(parts.scheme)
    return address
