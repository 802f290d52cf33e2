"""Counters that all processes share: a JetStream stream in memory that adds numbers (NATS 2.12, ADR-49)."""

from __future__ import annotations

import json
from datetime import timedelta

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError

from taskbell.kit.nats_bus import BusUnavailable

_INCREMENT = "Nats-Incr"
_TIMEOUT = 0.25
"""Seconds. A request of a client waits for the answer."""
_NANOSECONDS = 1_000_000_000


class Counters:
    """Adds to numbers by name. A number is forgotten when nobody has added to it for `max_age`."""

    def __init__(self, client: Client, *, stream: str, root: str, max_age: timedelta) -> None:
        """Take a connection, which the caller closes. The stream is created when it does not exist."""
        self._client = client
        self._root = root
        self._stream = stream
        self._config = {
            "name": stream,
            "subjects": [f"{root}.>"],
            "storage": "memory",
            "retention": "limits",
            "discard": "old",
            "max_age": int(max_age.total_seconds() * _NANOSECONDS),
            "max_msgs_per_subject": 1,
            "num_replicas": 1,
            "allow_direct": True,
            "allow_msg_counter": True,
        }

    async def add(self, name: str, amount: int) -> int:
        """Add to a number, in one round trip; return its new value.

        Raises:
            BusUnavailable: NATS does not answer in time, or is older than 2.12. Whether it was added is unknown.
        """
        try:
            try:
                answer = await self._ask(f"{self._root}.{name}", b"", {_INCREMENT: str(amount)})
            except NoRespondersError:
                await self._ask(f"$JS.API.STREAM.CREATE.{self._stream}", json.dumps(self._config).encode(), None)
                answer = await self._ask(f"{self._root}.{name}", b"", {_INCREMENT: str(amount)})
        except (NatsError, TimeoutError, OSError) as away:
            raise BusUnavailable(type(away).__name__) from away
        return int(answer["val"])

    async def _ask(self, subject: str, body: bytes, headers: dict[str, str] | None) -> dict[str, str]:
        if not self._client.is_connected:
            raise BusUnavailable("not connected")
        message = await self._client.request(subject, body, timeout=_TIMEOUT, headers=headers)
        answer: dict[str, str] = json.loads(message.data)
        if "error" in answer:
            raise BusUnavailable(f"JetStream: {answer['error']}")
        return answer
