"""Dead letters: messages that could not be processed, kept in their own stream until a person decides.

There are two kinds. A worker that gives up a message stores its reason and a copy. The server stores an advisory when
a message reached its limit of deliveries because its worker died each time; it names only the message's place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from nats.aio.client import Client
from nats.js.api import RawStreamMsg, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import NotFoundError

from taskbell.kit.nats_bus import answering
from taskbell.kit.nats_message import MESSAGE_ID

_TIMEOUT = 5.0
HEADER_REASON = "Taskbell-Reason"
HEADER_SUBJECT = "Taskbell-Subject"
HEADER_DELIVERIES = "Taskbell-Deliveries"
_ADVISORY = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES"
_OWN = (HEADER_REASON, HEADER_SUBJECT, HEADER_DELIVERIES, MESSAGE_ID)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterSpec:
    """The stream of dead letters of one consumer.

    Attributes:
        stream: The name of the stream.
        letters: Subject of the dead letters.
        redrive: Subject of the messages that are to be processed again.
        source: The stream and the consumer that the messages come from.
        max_age: Seconds that a dead letter is kept.
    """

    stream: str
    letters: str
    redrive: str
    source: tuple[str, str]
    max_age: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One message that could not be processed. `data` is None when the message itself has expired."""

    sequence: int
    time: str
    reason: str
    subject: str
    deliveries: int
    headers: Mapping[str, str]
    data: bytes | None


class DeadLetters:
    """The stream of dead letters. Every call raises `BusUnavailable` when JetStream does not answer."""

    def __init__(self, client: Client, spec: DeadLetterSpec) -> None:
        """Take a connection; the caller closes it."""
        self._context = client.jetstream(timeout=_TIMEOUT)
        self._spec = spec

    async def ensure(self) -> None:
        """Create the stream, or adjust it."""
        spec = self._spec
        config = StreamConfig(
            name=spec.stream,
            subjects=[spec.letters, spec.redrive, ".".join((_ADVISORY, *spec.source))],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            max_age=spec.max_age,
        )
        with answering():
            try:
                await self._context.update_stream(config)
            except NotFoundError:
                await self._context.add_stream(config)

    async def keep(
        self, *, identity: str, subject: str, headers: Mapping[str, str], data: bytes, reason: str, deliveries: int
    ) -> None:
        """Store a message and the reason. Within the duplicate window, one `identity` is stored once."""
        marked = {
            **headers,
            HEADER_REASON: " ".join(reason.split())[:500],
            HEADER_SUBJECT: subject,
            HEADER_DELIVERIES: str(deliveries),
            MESSAGE_ID: identity,
        }
        with answering():
            await self._context.publish(self._spec.letters, data, headers=marked)

    async def page(self, *, limit: int) -> list[DeadLetter]:
        """Return the oldest dead letters, up to a limit."""
        found: list[DeadLetter] = []
        after = 0
        while len(found) < limit:
            raw = await self._message(self._spec.stream, seq=after + 1, subject=">", next=True)
            if raw is None or raw.seq is None:
                break
            after = raw.seq
            letter = await self._letter(raw)
            if letter is not None:
                found.append(letter)
        return found

    async def get(self, sequence: int) -> DeadLetter | None:
        """Return one dead letter, or None."""
        raw = await self._message(self._spec.stream, seq=sequence)
        return None if raw is None else await self._letter(raw)

    async def redrive(self, letter: DeadLetter) -> bool:
        """Publish a message for processing again and remove its letter; return False if the message has expired.

        It publishes first and removes then, so that at worst the message is processed twice.
        """
        if letter.data is None:
            return False
        headers = {name: value for name, value in letter.headers.items() if name not in _OWN}
        with answering():
            await self._context.publish(
                self._spec.redrive, letter.data, headers={**headers, HEADER_SUBJECT: letter.subject}
            )
            await self._context.delete_msg(self._spec.stream, letter.sequence)
        return True

    async def _message(self, stream: str, **place: Any) -> RawStreamMsg | None:
        with answering():
            try:
                return await self._context.get_msg(stream, **place)
            except NotFoundError:
                return None

    async def _letter(self, raw: RawStreamMsg) -> DeadLetter | None:
        """Read a stored message; None for one that waits to be processed again."""
        headers = raw.headers or {}
        if raw.subject == self._spec.redrive or raw.seq is None:
            return None
        time = str(raw.time or "")
        if raw.subject == self._spec.letters:
            return DeadLetter(
                sequence=raw.seq,
                time=time,
                reason=headers.get(HEADER_REASON, ""),
                subject=headers.get(HEADER_SUBJECT, ""),
                deliveries=int(headers.get(HEADER_DELIVERIES, "0")),
                headers=headers,
                data=raw.data or b"",
            )
        advisory = orjson.loads(raw.data or b"{}")
        source = await self._message(self._spec.source[0], seq=advisory["stream_seq"])
        return DeadLetter(
            sequence=raw.seq,
            time=time,
            reason="delivered as often as it may be, never answered",
            subject=source.subject or "" if source else "",
            deliveries=advisory["deliveries"],
            headers=(source.headers or {}) if source else {},
            data=(source.data or b"") if source else None,
        )
