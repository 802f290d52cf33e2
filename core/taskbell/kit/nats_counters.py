"""Counters that all processes share: a JetStream stream in memory that adds numbers (NATS 2.12, ADR-49)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError

from taskbell.kit.nats_bus import BusUnavailable

_INCREMENT = "Nats-Incr"
_TIMEOUT = 0.25
"""Seconds. A request of a client waits for the answer."""
_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterSpec:
    """The stream of the counters.

    Attributes:
        stream: Its name.
        root: The subject below which each counter has a subject of its own.
        max_age: When a number to which nobody adds is forgotten.
    """

    stream: str
    root: str
    max_age: timedelta


async def make_counters(client: Client, spec: CounterSpec) -> None:
    """Make the stream, unless it exists.

    Raises:
        BusUnavailable: NATS does not answer in time, is older than 2.12, or does not permit it.
    """
    config = {
        "name": spec.stream,
        "subjects": [f"{spec.root}.>"],
        "storage": "memory",
        "retention": "limits",
        "discard": "old",
        "max_age": int(spec.max_age.total_seconds() * _NANOSECONDS),
        "max_msgs_per_subject": 1,
        "num_replicas": 1,
        "allow_direct": True,
        "allow_msg_counter": True,
    }
    await _ask(client, f"$JS.API.STREAM.CREATE.{spec.stream}", body=json.dumps(config).encode())


class Counters:
    """Adds to numbers by name."""

    def __init__(self, client: Client, spec: CounterSpec) -> None:
        """Take a connection, which the caller closes."""
        self._client = client
        self._spec = spec

    async def add(self, name: str, amount: int) -> int:
        """Add to a number, in one round trip; return its new value.

        Raises:
            BusUnavailable: NATS does not answer in time, or has no such stream and does not permit to make it. Whether
                it was added is unknown.
        """
        subject, headers = f"{self._spec.root}.{name}", {_INCREMENT: str(amount)}
        try:
            answer = await _ask(self._client, subject, headers=headers)
        except NoSuchStream:
            await make_counters(self._client, self._spec)
            answer = await _ask(self._client, subject, headers=headers)
        return int(answer["val"])


class NoSuchStream(BusUnavailable):
    """No stream has this subject."""


async def _ask(
    client: Client, subject: str, *, body: bytes = b"", headers: dict[str, str] | None = None
) -> dict[str, str]:
    if not client.is_connected:
        raise BusUnavailable("not connected")
    try:
        message = await client.request(subject, body, timeout=_TIMEOUT, headers=headers)
    except NoRespondersError as nobody:
        raise NoSuchStream(subject) from nobody
    except (NatsError, TimeoutError, OSError) as away:
        raise BusUnavailable(type(away).__name__) from away
    answer: dict[str, str] = json.loads(message.data)
    if "error" in answer:
        raise BusUnavailable(f"JetStream: {answer['error']}")
    return answer
