"""What NATS writes into a message: headers, and the numbers in the reply subject of a JetStream delivery."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from nats.aio.msg import Msg

MESSAGE_ID = "Nats-Msg-Id"
"""Header: the id by which JetStream recognises a duplicate."""
EXPECTED_SEQUENCE = "Nats-Expected-Last-Sequence"
EXPECTED_ID = "Nats-Expected-Last-Msg-Id"
_HEADER_FRAME = b"NATS/1.0\r\n\r\n"
_NO_HEADERS: Mapping[str, str] = {}


class Delivery(NamedTuple):
    """The place of a delivery.

    Attributes:
        sequence: In the stream.
        consumer_sequence: Among all deliveries of the consumer.
        deliveries: How often this message was delivered, this time included.
    """

    sequence: int
    consumer_sequence: int
    deliveries: int


def headers_of(message: Msg) -> Mapping[str, str]:
    """Return the headers; nats-py has None for a message without."""
    return message.headers or _NO_HEADERS


def status_of(message: Msg) -> str:
    """Return the status of a control message, such as "408"; empty for any other message."""
    return headers_of(message).get("Status", "")


def is_out_of_bytes(message: Msg) -> bool:
    """Tell whether a pull request ended because the next message would exceed its `max_bytes` (ADR-13)."""
    headers = headers_of(message)
    return headers.get("Status") == "409" and headers.get("Description", "").startswith("Message Size Exceeds MaxBytes")


def pulled_bytes(message: Msg) -> int:
    """Return what a delivery counts against `max_bytes` (tried with server 2.15): subjects, headers and payload."""
    size = len(message.subject) + len(message.reply) + len(message.data)
    if message.headers:
        size += len(_HEADER_FRAME) + sum(
            len(name.encode()) + len(value.encode()) + 4 for name, value in message.headers.items()
        )
    return size


def is_delivery(message: Msg) -> bool:
    """Tell a message of the stream from a control message."""
    return message.reply.startswith("$JS.ACK.")


def read_reply(reply: str) -> Delivery:
    """Read the reply subject of a delivery (ADR-15).

    `$JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.<consumer sequence>.<time>.<pending>`; newer servers put
    domain and account hash after `ACK`.

    Raises:
        ValueError: It is another subject.
    """
    tokens = reply.split(".")
    if tokens[:2] != ["$JS", "ACK"] or (len(tokens) != 9 and len(tokens) < 11):
        raise ValueError(f"not a JetStream delivery: {reply!r}")
    first = 4 if len(tokens) == 9 else 6
    deliveries, sequence, consumer_sequence = map(int, tokens[first : first + 3])
    return Delivery(sequence, consumer_sequence, deliveries)
