"""The honest users: what they ask, and how long they wait for it."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
import orjson

from taskbell.capacity.briefing import Account
from taskbell.capacity.journal import Journal, Note
from taskbell.capacity.steps import percentile

_PAUSE_SECONDS = 0.9
_SIGN_IN_EACH = 12
"""Rounds between two sign-ins."""


@dataclass(slots=True)
class Waited:
    """How long honest users waited, in milliseconds with the instant (Unix seconds) of each, and their errors.

    Attributes:
        requests: Requests, except sign-ins.
        sign_ins: Sign-ins with the right password.
        deliveries: From an event to its webhook.
        errors: Unexpected answers, by kind and status.
    """

    requests: list[tuple[float, float]] = field(default_factory=list)
    sign_ins: list[tuple[float, float]] = field(default_factory=list)
    deliveries: list[tuple[float, float]] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)


class Honest:
    """One honest user: creates, reads, lists and changes tasks at a steady pace, and signs in now and then."""

    def __init__(
        self, client: httpx.AsyncClient, account: Account, *, sign_in: dict[str, str], journal: Journal, waited: Waited
    ) -> None:
        """Take a client for the API, an account, and the body of its sign-in."""
        self._client = client
        self._account = account
        self._sign_in = sign_in
        self._journal = journal
        self._waited = waited
        self._tasks = deque[dict[str, Any]](maxlen=20)

    async def work(self, titles: itertools.count[int], *, run: str, stopped: asyncio.Event) -> None:
        """Work until stopped; the titles of tasks are `run` and a number."""
        for number in itertools.count():
            if stopped.is_set():
                return
            await self._round(number, f"{run}-{next(titles)}")
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _round(self, number: int, title: str) -> None:
        if number % _SIGN_IN_EACH == 0:
            signed_in = await self._ask("POST", "/v1/auth/login", kind="sign-in", body=self._sign_in)
            if signed_in is not None:  # guessers do not delay a device that signed in before
                self._sign_in = {**self._sign_in, "device_token": signed_in["device_token"]}
            return
        match number % 4:
            case 1:
                await self._create(title)
            case 2:
                await self._ask("GET", f"/v1/tasks?workspace_id={self._account.workspace_id}&limit=20", kind="list")
            case 3:
                await self._ask("GET", f"/v1/tasks/{self._tasks[-1]['id']}", kind="get") if self._tasks else None
            case _:
                await self._change()

    async def _create(self, title: str) -> None:
        self._journal.note(Note.ATTEMPTED, title)
        body = {
            "title": title,
            "workspace_id": self._account.workspace_id,
            "assignee_ids": [self._account.teammate_id],
        }
        made = await self._ask("POST", "/v1/tasks", kind="create", body=body)
        if made is not None:
            self._journal.note(Note.CREATED, title, made["id"])
            self._tasks.append(made)

    async def _change(self) -> None:
        if not self._tasks:
            return
        task = self._tasks.popleft()
        changed = await self._ask("PATCH", f"/v1/tasks/{task['id']}", kind="patch", body={"status": "completed"})
        if changed is not None:
            self._journal.note(Note.CHANGED, changed["id"], changed["version"])

    async def _ask(self, method: str, path: str, *, kind: str, body: Any = None) -> Any:
        """Send a request and note how long it took; return the document, or None after an error."""
        headers = {"Authorization": f"Bearer {self._account.token}"} if kind != "sign-in" else {}
        began = time.perf_counter()
        try:
            answer = await self._client.request(method, path, json=body, headers=headers)
        except httpx.TransportError as failed:
            self._waited.errors[f"{kind}: {type(failed).__name__}"] += 1
            return None
        took = (time.time(), (time.perf_counter() - began) * 1000)
        (self._waited.sign_ins if kind == "sign-in" else self._waited.requests).append(took)
        if answer.is_error:
            self._waited.errors[f"{kind}: {answer.status_code}"] += 1
            return None
        return answer.json()


class Hook:
    """The honest users' receiver of webhooks.

    Attributes:
        events: How often each event came, by its id.
    """

    def __init__(self, waited: Waited) -> None:
        """Begin with nothing."""
        self.events = Counter[str]()
        self._waited = waited

    def take(self, body: bytes) -> None:
        """Note an event that was delivered."""
        event = orjson.loads(body)
        now = time.time()
        if event["id"] not in self.events:
            age = now - datetime.fromisoformat(event["time"]).timestamp()
            self._waited.deliveries.append((now, age * 1000))
        self.events[event["id"]] += 1


def p95(samples: Sequence[tuple[float, float]], *, since: float, until: float) -> float | None:
    """Return the 95th percentile of the samples between two instants; None without samples."""
    return percentile(sorted(round(value, 1) for at, value in samples if since <= at < until), 0.95)
