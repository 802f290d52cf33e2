"""The processes of a run of a million: its platform, its listeners, and what is killed among them."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import Final

import httpx

from taskbell.capacity import service
from taskbell.capacity.briefing import Account
from taskbell.capacity.leash import leashed
from taskbell.capacity.million.plan import LEAD_SECONDS
from taskbell.capacity.million.store import Store

SETTINGS: Final = {
    **service.UNLIMITED,
    "TASKBELL_ACCESS_TOKEN_TTL": "P1D",
    "TASKBELL_REMINDER_LEADS": f"PT{LEAD_SECONDS}S",
    "TASKBELL_GATEWAY_MAX_REPLAY_EVENTS": "1000000",
    "TASKBELL_WORKSPACE_DAILY_BYTES": str(2**40),
    "TASKBELL_WORKSPACE_TASK_BYTES": str(2**40),
}
"""The platform of a run: no limit by user or workspace is reached, and tokens outlive the run."""
_FORMER_SECONDS: Final = 120.0


class FolderInUse(Exception):
    """Another run works in the folder."""


@contextmanager
def holding(store: Store) -> Iterator[None]:
    """Keep other runs out of the folder.

    Raises:
        FolderInUse: Another run is there.
    """
    store.folder.mkdir(parents=True, exist_ok=True)
    with (store.folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderInUse(f"another run works in {store.folder}") from None
        yield


@contextmanager
def platform(store: Store) -> Iterator[service.PlatformUnderLoad]:
    """Start the run's platform, with the data that it has; the one of a killed run ends first.

    Raises:
        PlatformNotStarted: It did not come up.
    """
    store.platform.mkdir(exist_ok=True)
    deadline = time.monotonic() + _FORMER_SECONDS
    with ExitStack() as held:
        while True:
            (store.platform / "data" / "run.json").unlink(missing_ok=True)  # of a platform that was killed
            try:
                running = held.enter_context(service.running(store.platform, settings=SETTINGS))
                break
            except service.PlatformNotStarted as failed:
                if "already runs" not in str(failed) or time.monotonic() > deadline:
                    raise
                time.sleep(1.0)  # the former one is still stopping
        yield running


@contextmanager
def listeners(store: Store) -> Iterator[subprocess.Popen[bytes]]:
    """Start the listeners; end them behind the block."""
    with (store.folder / "listeners.log").open("ab") as log:
        process = subprocess.Popen(
            leashed([sys.executable, "-m", "taskbell.capacity.million.listeners", str(store.folder)]),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            service.stop(process, within=30)


def kill(running: service.PlatformUnderLoad, part: str) -> bool:
    """Kill a part by SIGKILL; the platform starts it again. Tell whether it was there."""
    pid = running.processes().get(part)
    if pid is None:
        return False
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return True
    return False


def sign_in(api_url: str, people: list[Account]) -> list[Account]:
    """Get new tokens for accounts of an earlier start.

    Raises:
        PlatformNotPrepared: The API refused one.
    """
    signed_in: list[Account] = []
    with httpx.Client(base_url=api_url, timeout=60, trust_env=False) as client:
        for account in people:
            credentials = {"email": account.email, "password": service.PASSWORD}
            try:
                answer = client.post("/v1/auth/login", json=credentials).raise_for_status()
            except httpx.HTTPError as failed:
                raise service.PlatformNotPrepared(f"no sign-in: {failed}") from failed
            signed_in.append(replace(account, token=answer.json()["access_token"]))
    return signed_in
