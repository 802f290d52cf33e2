"""The platform under load: `taskbell up` in a folder of its own, and the accounts of the run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx

from taskbell.capacity.briefing import Account
from taskbell.capacity.leash import leashed
from taskbell.capacity.processor import UP

UNLIMITED = {
    "TASKBELL_RATE_LIMIT_PER_MINUTE": "1000000000",
    "TASKBELL_REQUESTS_AT_ONCE_PER_USER": "100000",
    "TASKBELL_API_MAX_CONNECTIONS": "100000",
}
"""Settings for a load of many users on few accounts: limits are counted, and never reached."""
_START_SECONDS = 150.0
_STOP_SECONDS = 60.0
PASSWORD = "capacity " * 2
"""The password of all accounts of a run."""


class PlatformNotStarted(Exception):
    """`taskbell up` ended, or was not ready in time. The message holds the end of its output."""


class PlatformNotPrepared(Exception):
    """An account, a workspace or a member could not be made."""


class UnderLoad(Protocol):
    """What is measured: a platform of the check's own, or an installation elsewhere."""

    @property
    def run(self) -> dict[str, Any]:
        """Its addresses, as in `run.json`."""

    def processes(self) -> dict[str, int]:
        """The process id of each part; none elsewhere."""

    def has_ended(self) -> bool:
        """Whether it is known to have ended."""

    def last_words(self) -> str:
        """The end of its output."""


@dataclass(frozen=True, slots=True)
class PlatformUnderLoad:
    """A running platform.

    Attributes:
        run: What `run.json` said when the platform was ready.
    """

    process: subprocess.Popen[bytes]
    log: Path
    run_file: Path
    run: dict[str, Any]

    def processes(self) -> dict[str, int]:
        """Return the present process id of each part; parts that end are started again."""
        if not self.run_file.exists():
            return {}
        parts = json.loads(self.run_file.read_text())["components"]
        return {UP: self.process.pid} | {name: part["pid"] for name, part in parts.items() if part["pid"]}

    def has_ended(self) -> bool:
        """Tell whether `taskbell up` itself has ended."""
        return self.process.poll() is not None

    def last_words(self) -> str:
        """Return the end of its output."""
        return " | ".join(self.log.read_text(errors="replace").strip().splitlines()[-5:]) or "it printed nothing"


@contextmanager
def running(
    folder: Path,
    *,
    own_session: bool = True,
    settings: Mapping[str, str] | None = None,
    python: str = sys.executable,
    program: Sequence[str] = ("-m", "taskbell.local"),
) -> Iterator[PlatformUnderLoad]:
    """Start the platform in a folder, on free ports; stop it at the end. No `TASKBELL_` variable of the caller counts.

    `python` is that of the environment whose version it is to be; `program` is what it runs.

    In a session of its own it does not receive Ctrl-C. Linux shares the processor between sessions (sched_autogroup): a
    program that is compared with it must be in the same one.

    Raises:
        PlatformNotStarted: It did not come up.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TASKBELL_", "OTEL_"))}
    own = {"TASKBELL_DATA_DIR": str(folder / "data"), "TASKBELL_API_PORT": "0", "TASKBELL_GATEWAY_PORT": "0"}
    log = folder / "up.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            leashed([python, *program, "up"]),
            env=kept | own | dict(settings or {}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=own_session,
        )
    try:
        run_file = folder / "data" / "run.json"
        deadline = time.monotonic() + _START_SECONDS
        while not run_file.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                end = " | ".join(log.read_text(errors="replace").strip().splitlines()[-5:])
                raise PlatformNotStarted(f"the platform did not start: {end or 'it printed nothing'}")
            time.sleep(0.1)
        yield PlatformUnderLoad(process=process, log=log, run_file=run_file, run=json.loads(run_file.read_text()))
    finally:
        stop(process, within=_STOP_SECONDS)


def running_unlimited(folder: Path) -> AbstractContextManager[PlatformUnderLoad]:
    """Start the platform with limits by user that no load reaches. Raises `PlatformNotStarted`."""
    return running(folder, settings=UNLIMITED)


def stop(process: subprocess.Popen[Any], *, within: float) -> int:
    """End a process, by SIGKILL after `within` seconds; return its status."""
    if process.poll() is None:
        process.terminate()
    try:
        return process.wait(within)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def make_teams(api_url: str, *, run: str, teams: int) -> list[Account]:
    """Make teams of two; return all owners, then all other members in the same order.

    Raises:
        PlatformNotPrepared: The API refused something.
    """
    with httpx.Client(base_url=api_url, timeout=60, trust_env=False) as client:
        return make_teams_with(client, run=run, teams=teams)


def make_teams_with(client: httpx.Client, *, run: str, teams: int) -> list[Account]:
    """Make teams of two through a client of the API.

    Raises:
        PlatformNotPrepared: The API refused something.
    """
    with ThreadPoolExecutor(4) as pool:
        try:
            pairs = list(pool.map(lambda number: _make_team(client, f"{run}-{number}"), range(teams)))
        except httpx.HTTPStatusError as refused:
            path, status = refused.request.url.path, refused.response.status_code
            wait = refused.response.headers.get("Retry-After")
            hint = "" if wait is None else f", again in {wait} s: ask for fewer --teams, or give tokens of users"
            raise PlatformNotPrepared(f"no accounts could be made: {path} answered {status}{hint}") from refused
        except httpx.HTTPError as failed:
            raise PlatformNotPrepared(f"the platform could not be prepared: {failed}") from failed
    return [owner for owner, _ in pairs] + [mate for _, mate in pairs]


def _make_team(client: httpx.Client, name: str) -> tuple[Account, Account]:
    owner, mate = (_register(client, f"{name}-{role}@example.com") for role in ("owner", "mate"))
    headers = {"Authorization": f"Bearer {owner['access_token']}"}
    made = client.post("/v1/workspaces", json={"name": f"Team {name}"}, headers=headers).raise_for_status()
    workspace = made.json()["id"]
    member = {"email": mate["user"]["email"], "role": "member"}
    invited = client.post(f"/v1/workspaces/{workspace}/members", json=member, headers=headers).raise_for_status()
    accepting = {"Authorization": f"Bearer {mate['access_token']}"}
    client.post(f"/v1/invitations/{invited.json()['id']}/accept", headers=accepting).raise_for_status()
    ids = owner["user"]["id"], mate["user"]["id"]
    return (
        Account(ids[0], owner["access_token"], workspace, ids[1], owner["user"]["email"]),
        Account(ids[1], mate["access_token"], workspace, ids[0], mate["user"]["email"]),
    )


def _register(client: httpx.Client, email: str) -> dict[str, Any]:
    made: dict[str, Any] = (
        client.post("/v1/auth/register", json={"email": email, "password": PASSWORD}).raise_for_status().json()
    )
    return made
