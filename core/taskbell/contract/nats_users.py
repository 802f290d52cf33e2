"""What each program may do on NATS: its user's subjects. Whatever is not listed is denied.

A program that reads the event stream may make consumers of it, under any name but that of the shared one. The server
lets such a consumer copy events to another subject, but never into the event stream: so nobody but the relay can put
an event there. Nobody but the relay makes or changes streams either: a stream may republish into another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from taskbell.contract.subjects import (
    DEAD_LETTER_STREAM,
    DEAD_LETTER_SUBJECT,
    DELIVERY_CONSUMER,
    EVENTS_ROOT,
    GATEWAY_CONNECTIONS,
    RATE_ROOT,
    RATE_STREAM,
    REDRIVE_CONSUMER,
    REDRIVE_SUBJECT,
    RELAY_POKE,
    STREAM,
    TICKET_BUCKET,
)

ADMINISTRATOR = "taskbell"
"""The user without limits, for people. No program that runs all the time has it."""
_API = "$JS.API"
_TICKETS = f"KV_{TICKET_BUCKET}"


class Program(StrEnum):
    """The programs that connect to NATS."""

    API = "api"
    RELAY = "relay"
    SWEEPER = "sweeper"
    GATEWAY = "gateway"
    DELIVERY = "delivery"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """The subjects of one user. Every user may subscribe to its own inbox, too.

    Attributes:
        publish: Where it may publish.
        never: Exceptions from these.
        subscribe: What it may subscribe to.
    """

    publish: tuple[str, ...]
    never: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()


def _acknowledging(stream: str, consumer: str) -> tuple[str, ...]:
    # Newer servers put domain and account hash after `ACK`.
    return (f"$JS.ACK.{stream}.{consumer}.>", f"$JS.ACK.*.*.{stream}.{consumer}.>")


_READING = (
    f"{_API}.STREAM.INFO.{STREAM}",
    f"{_API}.STREAM.MSG.GET.{STREAM}",
    f"{_API}.CONSUMER.CREATE.{STREAM}.>",
    f"{_API}.CONSUMER.MSG.NEXT.{STREAM}.*",
    f"{_API}.CONSUMER.DELETE.{STREAM}.*",
    f"$JS.FC.{STREAM}.>",
)
_NOT_THE_SHARED_CONSUMER = (
    f"{_API}.CONSUMER.CREATE.{STREAM}.{DELIVERY_CONSUMER}",
    f"{_API}.CONSUMER.CREATE.{STREAM}.{DELIVERY_CONSUMER}.>",
    f"{_API}.CONSUMER.MSG.NEXT.{STREAM}.{DELIVERY_CONSUMER}",
    f"{_API}.CONSUMER.DELETE.{STREAM}.{DELIVERY_CONSUMER}",
)

RIGHTS: Mapping[Program, Rights] = {
    Program.API: Rights(publish=(RELAY_POKE, f"{RATE_ROOT}.>", *_READING), never=_NOT_THE_SHARED_CONSUMER),
    Program.RELAY: Rights(
        publish=(
            f"{EVENTS_ROOT}.>",
            f"{_API}.INFO",
            *(f"{_API}.STREAM.{verb}.{STREAM}" for verb in ("INFO", "CREATE", "UPDATE", "DELETE", "MSG.GET")),
            f"{_API}.CONSUMER.INFO.{STREAM}.{DELIVERY_CONSUMER}",
            *(f"{_API}.STREAM.{verb}.{DEAD_LETTER_STREAM}" for verb in ("INFO", "CREATE", "UPDATE")),
            f"{_API}.CONSUMER.INFO.{DEAD_LETTER_STREAM}.{REDRIVE_CONSUMER}",
            f"{_API}.CONSUMER.CREATE.{DEAD_LETTER_STREAM}.{REDRIVE_CONSUMER}.>",
            *(f"{_API}.STREAM.{verb}.{_TICKETS}" for verb in ("INFO", "CREATE")),
            *(f"{_API}.STREAM.{verb}.{RATE_STREAM}" for verb in ("INFO", "CREATE")),
        ),
        subscribe=(RELAY_POKE,),
    ),
    Program.SWEEPER: Rights(publish=(RELAY_POKE,)),
    Program.GATEWAY: Rights(
        publish=(
            *_READING,
            f"{_API}.STREAM.INFO.{_TICKETS}",
            f"{_API}.STREAM.MSG.GET.{_TICKETS}",
            f"$KV.{TICKET_BUCKET}.>",
            GATEWAY_CONNECTIONS,
        ),
        never=_NOT_THE_SHARED_CONSUMER,
        subscribe=(GATEWAY_CONNECTIONS,),
    ),
    Program.DELIVERY: Rights(
        publish=(
            f"{_API}.CONSUMER.CREATE.{STREAM}.{DELIVERY_CONSUMER}.>",
            f"{_API}.CONSUMER.MSG.NEXT.{STREAM}.{DELIVERY_CONSUMER}",
            f"{_API}.CONSUMER.INFO.{DEAD_LETTER_STREAM}.{REDRIVE_CONSUMER}",
            f"{_API}.CONSUMER.MSG.NEXT.{DEAD_LETTER_STREAM}.{REDRIVE_CONSUMER}",
            *_acknowledging(STREAM, DELIVERY_CONSUMER),
            *_acknowledging(DEAD_LETTER_STREAM, REDRIVE_CONSUMER),
            DEAD_LETTER_SUBJECT,
            # `taskbell deadletters` in a pod of the workers
            *(f"{_API}.STREAM.MSG.{verb}.{DEAD_LETTER_STREAM}" for verb in ("GET", "DELETE")),
            f"{_API}.STREAM.MSG.GET.{STREAM}",
            REDRIVE_SUBJECT,
        ),
    ),
    # The age of the oldest waiting event is the time of a message.
    Program.OPERATOR: Rights(publish=(f"{_API}.CONSUMER.INFO.*.*", f"{_API}.STREAM.MSG.GET.{STREAM}")),
}


def user_of(program: Program) -> str:
    """The name of a program's user, which also begins its inbox."""
    return f"{ADMINISTRATOR}-{program}"


def permissions(program: Program) -> dict[str, dict[str, list[str]]]:
    """The permissions of a program's user, as the configuration of NATS has them."""
    rights = RIGHTS[program]
    publish = {"allow": list(rights.publish)} | ({"deny": list(rights.never)} if rights.never else {})
    return {"publish": publish, "subscribe": {"allow": [f"_INBOX.{user_of(program)}.>", *rights.subscribe]}}
