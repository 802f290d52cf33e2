"""What came: each request that was accepted, and each that was refused. The latest are kept, all are counted."""

from __future__ import annotations

import itertools
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """A request that a provider accepted.

    Attributes:
        number: 1 for the first of the simulator.
        at: When, in Unix seconds.
        provider: fcm, apns, webpush, slack or teams.
        address: The registration token, device token, subscription's endpoint or hook.
        message_id: The id that the provider gave it, or took from the request.
        notification_id: The notification in Taskbell that it is about, as far as the message tells.
        collapse_id: The name by which the provider or the device replaces earlier ones.
        title: What it shows; None: nothing.
        body: The text below the title.
        withdrawn: It takes an alert back.
        payload: The message; of Web Push the decrypted one. An empty one where it is no JSON object.
        headers: Fields of the request that matter to the provider.
        problem: Why the device cannot show it, though the provider accepted it.
    """

    number: int
    at: float
    provider: str
    address: str
    message_id: str
    notification_id: str | None = None
    collapse_id: str | None = None
    title: str | None = None
    body: str | None = None
    withdrawn: bool = False
    payload: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A request that was refused; of a scripted fault or by a provider's check. Attributes as in `Push`."""

    at: float
    provider: str
    address: str | None
    status: int
    reason: str
    scripted: bool


class Journal:
    """The latest `keep` of both, and the counts of all."""

    def __init__(self, *, keep: int = 10_000) -> None:
        """Keep at most so many pushes, and as many refusals."""
        self.pushes: deque[Push] = deque(maxlen=keep)
        self.refused: deque[Refused] = deque(maxlen=keep)
        self.accepted: Counter[str] = Counter()
        """How many of each provider were accepted."""
        self.statuses: Counter[tuple[str, int]] = Counter()
        """How many answers there were, by provider and status; 0: no answer by a fault."""
        self.listeners: list[Callable[[Push], None]] = []
        """Called with each push."""

    @property
    def total(self) -> int:
        """How many pushes were accepted, also those that are no longer kept."""
        return self.accepted.total()

    def next_number(self) -> int:
        """The number of the next push."""
        return self.accepted.total() + 1

    def accept(self, push: Push) -> None:
        """Note a push."""
        self.pushes.append(push)
        self.accepted[push.provider] += 1
        for listener in self.listeners:
            listener(push)

    def refuse(self, refused: Refused) -> None:
        """Note a refusal."""
        self.refused.append(refused)

    def after(self, number: int) -> Iterator[Push]:
        """The kept pushes with a higher number; their numbers are consecutive."""
        skipped = number - self.pushes[0].number + 1 if self.pushes else 0
        return itertools.islice(self.pushes, max(0, skipped), None)

    def of(self, notification_id: str, *, address: str | None = None) -> list[Push]:
        """The kept pushes about a notification, to one address or to all."""
        return [
            push for push in self.pushes if push.notification_id == notification_id and address in {None, push.address}
        ]

    def counts(self, *, withdrawn: bool = False) -> Counter[tuple[str, str | None]]:
        """How many kept pushes there are by (address, notification), either those that show or those that withdraw."""
        return Counter((push.address, push.notification_id) for push in self.pushes if push.withdrawn is withdrawn)

    def clear(self) -> None:
        """Forget all, the counts too."""
        self.pushes.clear()
        self.refused.clear()
        self.accepted.clear()
        self.statuses.clear()
