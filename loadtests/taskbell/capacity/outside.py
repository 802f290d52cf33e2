"""An installation elsewhere: who uses it, and what the public API tells of a run there."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import httpx
import orjson

from taskbell.capacity import service, titles
from taskbell.capacity.briefing import Account
from taskbell.capacity.evidence import EventRow, Notice, TaskRow, owed

LEFT_OUT: Final = (
    "rows of events: the events of all change feeds together take their place",
    "processor time of the parts, and what else their machines did",
    "the time from the row to the frame by one clock: it counts from the request, by the generator's",
)
"""What needs the inside of an installation."""
NEWEST: Final = {"Taskbell-Consistency": "latest"}
"""What is counted must not come from a replica that is behind."""
_PAGE: Final = 500
_MARGIN: Final = timedelta(minutes=5)
"""By how much clocks may differ."""
_LONGEST_PAUSE: Final = 120.0


class TargetRefused(Exception):
    """The installation does not answer, or not as one of Taskbell; the message says how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the installation is, and who may use it.

    Attributes:
        api_url: Base of the API, without `/v1`.
        gateway_url: The WebSocket's address; None asks the API.
        tokens: Access tokens of users whose workspaces are used; without any the run makes users of its own.
        workspace: The workspace of these users; None takes the personal one of each.
        ca: File with the only certificates that are trusted; None for the system's.
        patience_seconds: How long it may take until it answers, because it is being installed.
    """

    api_url: str
    gateway_url: str | None = None
    tokens: tuple[str, ...] = field(default=(), repr=False)
    workspace: str | None = None
    ca: Path | None = None
    patience_seconds: float = 0.0

    def client(self) -> httpx.Client:
        """A client of the API, which verifies certificates."""
        context = ssl.create_default_context(cafile=self.ca)
        return httpx.Client(base_url=self.api_url, timeout=30, trust_env=False, verify=context)


def await_answer(target: Target) -> None:
    """Wait until the API answers, for as long as the target permits; the next request tells what is wrong then."""
    deadline = time.monotonic() + target.patience_seconds
    with target.client() as client:
        while time.monotonic() < deadline:
            with suppress(httpx.TransportError):
                if not client.get("/.well-known/jwks.json").is_server_error:
                    return
            time.sleep(1.0)


@dataclass(frozen=True, slots=True)
class Installation:
    """An installation under load: nothing is known of its processes."""

    run: dict[str, Any]

    def processes(self) -> dict[str, int]:
        """None is known."""
        return {}

    def has_ended(self) -> bool:
        """Not known."""
        return False

    def last_words(self) -> str:
        """None are known."""
        return ""


def people(target: Target, client: httpx.Client, *, run: str, teams: int) -> list[Account]:
    """The accounts of a run: those of the tokens, or new ones, in teams of two.

    Raises:
        PlatformNotPrepared: The API refused something.
    """
    if not target.tokens:
        return service.make_teams_with(client, run=run, teams=teams)
    try:
        found = [_account(client, token, target.workspace) for token in target.tokens]
    except (httpx.HTTPError, KeyError, ValueError) as failed:
        raise service.PlatformNotPrepared(f"a token could not be used: {_plainly(failed)}") from failed
    if target.workspace is None:
        return found
    return [replace(one, teammate_id=mate.user_id) for one, mate in zip(found, [*found[1:], found[0]], strict=True)]


def _account(client: httpx.Client, token: str, workspace: str | None) -> Account:
    me = client.get("/v1/me", headers=_bearer(token)).raise_for_status().json()
    return Account(me["id"], token, workspace or me["personal_workspace_id"], me["id"], me["email"])


def gateway_address(client: httpx.Client, account: Account) -> str:
    """Where the installation says that its gateway is: a ticket's address, without the ticket.

    Raises:
        TargetRefused: It gives no ticket.
    """
    try:
        answer = client.post("/v1/realtime/tickets", headers=_bearer(account.token)).raise_for_status()
        return str(urlunsplit(urlsplit(answer.json()["url"])._replace(query="")))
    except (httpx.HTTPError, KeyError, ValueError) as failed:
        raise TargetRefused(f"no ticket for the gateway ({_plainly(failed)}): give --gateway") from failed


def _plainly(failed: Exception) -> str:
    """An error in a few words, without what was sent."""
    if isinstance(failed, httpx.HTTPStatusError):
        return f"{failed.request.method} {failed.request.url.path}: status {failed.response.status_code}"
    return f"{type(failed).__name__} {failed}"


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", **NEWEST}


def patiently(client: httpx.Client, path: str, *, token: str, params: dict[str, str]) -> httpx.Response:
    """Send a GET, and again as late as the API asks when it answers 429. Raises httpx.HTTPError."""
    while True:
        answer = client.get(path, params=params, headers=_bearer(token))
        if answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
            return answer
        time.sleep(min(float(answer.headers.get("Retry-After", "1")), _LONGEST_PAUSE))


def event_row(event: dict[str, Any], *, reader: str) -> EventRow:
    """An event of a user's change feed; personal ones belong to who reads them."""
    data, kind = event["data"], event["type"]
    personal = kind.startswith("notification.")
    return EventRow(
        id=event["id"],
        type=kind,
        subject=event["subject"],
        workspace=event["workspaceid"],
        personal_to=reader if personal else None,
        title="" if personal else data["title"],
        version=0 if personal else data["version"],
        owes=owed(kind, data, event.get("actorid")),
    )


def read_tasks(client: httpx.Client, accounts: Sequence[Account], *, run: str, since: float) -> list[TaskRow]:
    """The run's tasks in all workspaces, as lists show them. Raises httpx.HTTPError."""
    changed_since = (datetime.fromtimestamp(since, UTC) - _MARGIN).strftime("%Y-%m-%dT%H:%M:%SZ")
    readers = {account.workspace_id: account for account in accounts}
    found = []
    for workspace, reader in readers.items():
        asked = {"workspace_id": workspace, "updated_since": changed_since, "sort": "created_at"}
        found += [
            TaskRow(task["id"], task["title"], task["version"])
            for task in _items(client, "/v1/tasks", reader.token, asked)
            if titles.read(run, task["title"]) is not None
        ]
    return found


def read_notices(client: httpx.Client, accounts: Sequence[Account], *, run: str, since: float) -> list[Notice]:
    """The run's notifications in the inboxes of all users. Raises httpx.HTTPError."""
    begun = datetime.fromtimestamp(since, UTC) - _MARGIN
    found = []
    for account in {account.user_id: account for account in accounts}.values():
        for notice in _items(client, "/v1/notifications", account.token, {}):
            if datetime.fromisoformat(notice["created_at"]) < begun:
                break
            if titles.read(run, notice["title"]) is not None:
                is_read = notice["read_at"] is not None
                found.append(Notice(notice["id"], account.user_id, notice["task_id"], notice["kind"], is_read))
    return found


def _items(client: httpx.Client, path: str, token: str, asked: dict[str, str]) -> Iterator[dict[str, Any]]:
    asked = {**asked, "limit": str(_PAGE)}
    while True:
        page = orjson.loads(patiently(client, path, token=token, params=asked).raise_for_status().content)
        yield from page["items"]
        if not page["meta"]["has_more"]:
            return
        asked["cursor"] = page["meta"]["next_cursor"]
