"""Ordered, fenced publishing to one JetStream stream, many messages in flight.

nats-py's own `publish_async` loses error replies and waits forever for a lost acknowledgement.

Each message names the sequence and the id of the message before it. The server (tried with 2.15) checks first the
sequence (error 10071), then whether the message is a duplicate (an acknowledgement that says so; nothing is stored),
then the id (error 10070). So a message is stored directly after the message that it names, or not at all, even when
a paused or disconnected publisher sends it late. The sequence alone would not be enough: another publisher may have
stored a different message at that sequence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from taskbell.kit.nats_bus import BusUnavailable
from taskbell.kit.nats_message import EXPECTED_ID, EXPECTED_SEQUENCE, MESSAGE_ID

_WRONG_POSITION = frozenset({10070, 10071})
_NO_RESPONDERS = "503"


@dataclass(frozen=True, slots=True)
class Message:
    """One message to append. `id` is its deduplication id; `headers` are added to those of this module."""

    id: str
    subject: str
    payload: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class AppendInterrupted(Exception):
    """The batch was not stored completely.

    Attributes:
        stored: How many messages from the beginning are certainly stored. After `AcknowledgementLost` some of the
            next messages may be stored too, in order and without gaps.
    """

    def __init__(self, message: str, *, stored: int) -> None:
        """Take the reason and the number of messages stored before it."""
        super().__init__(f"{message} (after {stored} stored)")
        self.stored = stored


class PositionTaken(AppendInterrupted):
    """The stream does not end where the batch expected: another publisher wrote to it, or it lost messages."""


class MessageDuplicated(AppendInterrupted):
    """The next message to store is already in the stream, at an earlier place."""


class StreamUnavailable(AppendInterrupted):
    """No stream listens on the subject, or it refused the message for a reason other than its position."""


class AcknowledgementLost(AppendInterrupted):
    """No answer came in time, or the connection broke."""


class AppendPublisher:
    """Appends batches to one stream, one batch at a time. Not for concurrent use."""

    def __init__(self, client: Client, *, in_flight: int = 500, ack_timeout: float = 2.0) -> None:
        """Take a connection, the most messages in flight, and the longest wait for an acknowledgement in seconds."""
        self._client = client
        self._in_flight = in_flight
        self._ack_timeout = ack_timeout
        self._inbox = client.new_inbox()
        self._batch = 0
        self._after = 0
        self._acked = 0
        self._failure: AppendInterrupted | None = None
        self._progress = asyncio.Event()

    async def start(self, *, largest: int = 0) -> None:
        """Listen for acknowledgements. The subscription ends with the connection.

        Raises:
            BusUnavailable: The server refuses messages of `largest` bytes, headers included.
        """
        if self._client.max_payload < largest:
            taken = f"its max_payload is {self._client.max_payload} bytes, events need {largest}"
            raise BusUnavailable(f"NATS takes no message of the largest size: {taken}")
        await self._client.subscribe(f"{self._inbox}.*.*", cb=self._answered)

    async def append(self, messages: Sequence[Message], *, after: int, after_id: str | None) -> None:
        """Store all messages directly after sequence `after`, whose message id is `after_id` (None: not checked).

        Returns when each one is acknowledged.

        Raises:
            PositionTaken: The stream ends elsewhere.
            MessageDuplicated: A message is already in the stream.
            StreamUnavailable: There is no such stream.
            AcknowledgementLost: An acknowledgement did not come in time.
        """
        self._batch += 1
        self._after = after
        self._acked = 0
        self._failure = None
        previous = after_id
        for index, message in enumerate(messages):
            if index - self._acked >= self._in_flight:
                await self._acknowledged(index - self._in_flight + 1)
            if self._failure is not None:
                break
            headers = {
                MESSAGE_ID: message.id,
                EXPECTED_SEQUENCE: str(after + index),
                **message.headers,
            }
            if previous is not None:
                headers[EXPECTED_ID] = previous
            try:
                await self._client.publish(
                    message.subject, message.payload, reply=f"{self._inbox}.{self._batch}.{index}", headers=headers
                )
            except NatsError as refused:
                raise AcknowledgementLost(type(refused).__name__, stored=self._acked) from refused
            previous = message.id
        await self._acknowledged(len(messages))

    async def _acknowledged(self, count: int) -> None:
        """Wait until the first `count` messages are stored. The timeout starts again with each acknowledgement."""
        while self._acked < count:
            if self._failure is not None:
                raise self._failure
            self._progress.clear()
            try:
                async with asyncio.timeout(self._ack_timeout):
                    await self._progress.wait()
            except TimeoutError:
                raise AcknowledgementLost("no answer in time", stored=self._acked) from None

    async def _answered(self, answer: Msg) -> None:
        batch, index_text = answer.subject.rsplit(".", 2)[1:]
        if int(batch) != self._batch or self._failure is not None:
            return  # the batch it belongs to has been given up
        index = int(index_text)
        if answer.headers and answer.headers.get("Status") == _NO_RESPONDERS:
            self._failure = StreamUnavailable("no stream listens", stored=self._acked)
        else:
            self._judge(index, orjson.loads(answer.data))
        self._progress.set()

    def _judge(self, index: int, reply: Mapping[str, object]) -> None:
        error = reply.get("error")
        kind: type[AppendInterrupted]
        if isinstance(error, Mapping):
            kind = PositionTaken if error.get("err_code") in _WRONG_POSITION else StreamUnavailable
            self._failure = kind(str(error.get("description")), stored=self._acked)
        elif reply.get("seq") != self._after + index + 1:
            kind = MessageDuplicated if reply.get("duplicate") else PositionTaken
            self._failure = kind(f"stored at {reply.get('seq')}", stored=self._acked)
        else:
            # A message is stored only after the one before it, so this answer also stands for a lost earlier one.
            self._acked = max(self._acked, index + 1)
