"""Creates the tasks of a million through the public API, each of them once."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import orjson

from taskbell.capacity.briefing import Account
from taskbell.capacity.million.counters import Counters
from taskbell.capacity.million.judging import ANSWERED, TRIED, UNTRIED
from taskbell.capacity.million.plan import Plan, due_at
from taskbell.capacity.million.wire import Answer, AnswerCut, Wire

ANSWERS = "answers"
"""The row of the creator's file."""
_CREATED, _TOO_MANY = 201, 429
_PAUSE_SECONDS = 0.2


class Creator:
    """Keeps a number of connections busy until every task was tried once, or it is told to stop.

    A task is marked before its request is sent and after its 201. One that has the first mark alone may exist or not:
    it is not tried again before the lists were read.
    """

    def __init__(
        self, plan: Plan, counters: Counters, *, api_url: str, owners: Sequence[Account], storm: Callable[[], float]
    ) -> None:
        """Take the owners of the teams in order; `storm` is asked when reminders fire, for each task that has some."""
        self._plan, self._counters, self._api_url, self._owners = plan, counters, api_url, owners
        self._storm = storm
        self.stopping = False
        self.failures: Counter[str] = Counter()
        """Requests without a 201, by reason."""

    async def create(self, numbers: Iterator[int]) -> None:
        """Try each of these tasks once."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._plan.connections):
                group.create_task(self._work(numbers))

    def untried(self, stop: int) -> Iterator[int]:
        """Tasks below `stop` that were never sent, in order; ends early when the creator stops."""
        number = self._counters.next_with(ANSWERS, UNTRIED, since=0)
        while number is not None and number < stop and not self.stopping:
            yield number
            number = self._counters.next_with(ANSWERS, UNTRIED, since=number + 1)

    async def _work(self, numbers: Iterator[int]) -> None:
        wire: Wire | None = None
        for number in numbers:
            body = orjson.dumps(self._task(number))
            owner = self._owners[self._plan.team_of(number)]
            while (wire := await self._connected(wire)) is not None:
                self._counters.put(ANSWERS, number, TRIED)
                try:
                    answer = await wire.post("/v1/tasks", body, token=owner.token)
                except AnswerCut as cut:
                    self.failures[f"no answer: {cut}"[:100]] += 1
                    break
                if answer.status == _CREATED:
                    self._counters.put(ANSWERS, number, ANSWERED)
                    break
                self.failures[f"status {answer.status}"] += 1
                if answer.status != _TOO_MANY:
                    break
                self._counters.put(ANSWERS, number, UNTRIED)  # it was refused, and has no row
                await asyncio.sleep(_pause(answer))
        if wire is not None:
            wire.close()

    async def _connected(self, wire: Wire | None) -> Wire | None:
        """An open connection; None when the creator stops."""
        while not self.stopping:
            if wire is not None and wire.is_open:
                return wire
            try:
                wire = await Wire.open(self._api_url)
            except OSError as away:
                self.failures[f"not reached: {type(away).__name__}"] += 1
                await asyncio.sleep(_PAUSE_SECONDS)
        if wire is not None:
            wire.close()
        return None

    def _task(self, number: int) -> dict[str, object]:
        owner = self._owners[self._plan.team_of(number)]
        task: dict[str, object] = {
            "title": self._plan.title(number),
            "workspace_id": owner.workspace_id,
            "priority": 1 + number % 10,
            "assignee_ids": [owner.teammate_id],
        }
        if number >= self._plan.first_reminded:
            due = due_at(time.time(), storm=self._storm())
            task["due_at"] = datetime.fromtimestamp(due, UTC).isoformat(timespec="seconds")
        return task


def _pause(answer: Answer) -> float:
    return float(answer.headers.get("retry-after", "1"))
