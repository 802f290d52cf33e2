"""What the providers do wrong on request: rules that are asked for each request, in the order they were added."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from taskbell.testing.pushsim.wire import Answer, Ending, Reply


class FaultKind(StrEnum):
    """What goes wrong."""

    STATUS = "status"
    """The answer is this status, these headers and this body; nothing is accepted."""
    SLOW = "slow"
    """The request is served as usual, `seconds` later."""
    RESET = "reset"
    """RST_STREAM with `code`; nothing is accepted."""
    CUT = "cut"
    """The TCP connection breaks; nothing is accepted."""
    GOAWAY = "goaway"
    """The request is served, and GOAWAY tells that the connection ends (graceful)."""
    GOAWAY_ERROR = "goaway_error"
    """GOAWAY with `code` in place of an answer; nothing is accepted."""
    SILENT = "silent"
    """No answer ever; nothing is accepted."""
    LOST = "lost"
    """The request is accepted, but its answer gets lost, as `ending` says: cut, reset or silent. The sender cannot
    know, so a second attempt, and with it a duplicate, is unavoidable."""
    DUPLICATE = "duplicate"
    """The request is served, and the provider itself brings the alert to the device twice."""


class FaultMalformed(ValueError):
    """The description of a fault is not one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One rule.

    Attributes:
        kind: What goes wrong.
        provider: Whose requests: fcm, apns, webpush, slack, teams or oauth; None: all of them.
        address: The one device's or hook's; None: all of them.
        status: Status of `STATUS`.
        headers: Header fields of `STATUS`, such as `retry-after`.
        body: Body of `STATUS`.
        seconds: Delay of any kind, before whatever it does.
        code: HTTP/2 error code of `RESET`, `GOAWAY_ERROR` and `LOST`.
        ending: How `LOST` loses the answer.
        debug: Additional data of a GOAWAY frame; APNs puts its reason there.
        times: How often; None: forever.
        probability: Chance of each matching request, 0 to 1.
        seed: Of the random numbers behind `probability`.
    """

    kind: FaultKind
    provider: str | None = None
    address: str | None = None
    status: int = 503
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    seconds: float = 0.0
    code: int = 2
    ending: Ending = Ending.CUT
    debug: bytes = b""
    times: int | None = 1
    probability: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            FaultMalformed: One is out of its range.
        """
        if not 200 <= self.status <= 599:
            raise FaultMalformed("status: 200 to 599")
        if not 0 <= self.seconds <= 3600:
            raise FaultMalformed("seconds: 0 to 3600")
        if self.times is not None and self.times < 1:
            raise FaultMalformed("times: 1 or more, or null: forever")
        if not 0 <= self.probability <= 1:
            raise FaultMalformed("probability: 0 to 1")
        if self.ending in {Ending.ANSWER, Ending.GOAWAY, Ending.GOAWAY_ERROR}:
            raise FaultMalformed("ending: cut, reset or silent")

    @property
    def refuses(self) -> bool:
        """Whether the provider never sees the request."""
        return self.kind in _REFUSING

    def refusal(self) -> Reply:
        """The reply of a fault that refuses."""
        answer = Answer(self.status, self.body, self.headers)
        return Reply(answer, self.seconds, _REFUSING[self.kind], self.code, self.debug)

    def spoil(self, answer: Answer) -> Reply:
        """The reply of a fault that does not refuse, to a request with this answer."""
        ending = Ending.ANSWER
        if self.kind is FaultKind.LOST:
            ending = self.ending
        elif self.kind is FaultKind.GOAWAY:
            ending = Ending.GOAWAY
        return Reply(answer, self.seconds, ending, self.code, self.debug)


_REFUSING = {
    FaultKind.STATUS: Ending.ANSWER,
    FaultKind.RESET: Ending.RESET,
    FaultKind.CUT: Ending.CUT,
    FaultKind.GOAWAY_ERROR: Ending.GOAWAY_ERROR,
    FaultKind.SILENT: Ending.SILENT,
}


@dataclass(slots=True)
class _Rule:
    fault: Fault
    left: int | None
    chance: random.Random


class Faults:
    """All rules of a simulator. The first that fits a request and fires decides about it."""

    MOST = 1_000
    """Rules at a time."""

    def __init__(self) -> None:
        """Begin without rules."""
        self._rules: list[_Rule] = []
        self.fired = 0
        """How many requests met a fault so far."""

    def __len__(self) -> int:
        return len(self._rules)

    def add(self, fault: Fault) -> None:
        """Add a rule after the others.

        Raises:
            FaultMalformed: There are too many already.
        """
        if len(self._rules) >= self.MOST:
            raise FaultMalformed(f"more than {self.MOST} faults")
        chance = random.Random(fault.seed)  # noqa: S311 -- repeatable on purpose
        self._rules.append(_Rule(fault, fault.times, chance))

    def clear(self) -> None:
        """Remove all rules: from now on all is well."""
        self._rules.clear()

    def describe(self) -> list[tuple[Fault, int | None]]:
        """The rules, and how often each is still to fire."""
        return [(rule.fault, rule.left) for rule in self._rules]

    def meet(self, provider: str, address: str | None) -> Fault | None:
        """The fault that this request meets, if any; it counts as one time of its rule."""
        for rule in self._rules:
            fault = rule.fault
            if fault.provider not in {None, provider} or fault.address not in {None, address}:
                continue
            if fault.probability < 1 and rule.chance.random() >= fault.probability:
                continue
            if rule.left is not None:
                rule.left -= 1
                if rule.left == 0:
                    self._rules.remove(rule)
            self.fired += 1
            return fault
        return None
