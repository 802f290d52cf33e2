"""What all providers share: the world that they work in, and what becomes of a request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from taskbell.testing.pushsim.credentials import Credentials
from taskbell.testing.pushsim.devices import Device, Devices
from taskbell.testing.pushsim.journal import Journal, Push
from taskbell.testing.pushsim.screen import Effect
from taskbell.testing.pushsim.wire import Answer


@dataclass(slots=True)
class World:
    """What the simulator consists of apart from the wire.

    Attributes:
        credentials: The keys.
        devices: All devices.
        journal: What came.
        clock: The providers' time in Unix seconds. Tests replace it.
    """

    credentials: Credentials
    devices: Devices
    journal: Journal
    clock: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Accepted:
    """A request in order: what the provider notes, what the device does, and the answer."""

    push: Push
    device: Device
    effect: Effect
    answer: Answer


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that the provider refuses, and the answer. `reason` is its own word for it."""

    answer: Answer
    reason: str


class Refuse(Exception):
    """Raised by a provider's checks; it carries the refusal."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


def json_answer(status: int, body: Any, **headers: str) -> Answer:
    """An answer with a JSON body; underscores in the names of header fields become hyphens."""
    fields = {"content-type": "application/json; charset=UTF-8"}
    return Answer(status, orjson.dumps(body), fields | {key.replace("_", "-"): text for key, text in headers.items()})


def text_answer(status: int, body: str, **headers: str) -> Answer:
    """An answer with a text; names as in `json_answer`."""
    fields = {"content-type": "text/plain; charset=utf-8"}
    return Answer(status, body.encode(), fields | {key.replace("_", "-"): text for key, text in headers.items()})


def json_object(body: bytes) -> dict[str, Any] | None:
    """A body that is a JSON object; None for any other."""
    try:
        found = orjson.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
