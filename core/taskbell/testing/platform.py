"""The real platform for tests: starts `taskbell up` in a folder, finds its parts, hurts them, waits for them."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx

from taskbell.testing.waiting import DEADLINE, eventually


class PlatformNotReady(AssertionError):
    """The platform, or a part of it, did not come to the awaited state before the deadline."""


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who is signed in."""

    user_id: str
    workspace_id: str
    email: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        """What a request of theirs carries."""
        return {"Authorization": f"Bearer {self.token}"}


class Platform:
    """One `taskbell up` with its data directory, found by its `run.json` like any script finds it."""

    def __init__(self, folder: Path, **environment: str) -> None:
        """Describe it; nothing starts before `up`. No `TASKBELL_` variable of the caller gets through."""
        self.folder = folder
        self.data = folder / "data"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TASKBELL_", "OTEL_"))}
        own = {"TASKBELL_API_PORT": "0", "TASKBELL_GATEWAY_PORT": "0", "TASKBELL_DATA_DIR": str(self.data)}
        self.environment = {**kept, **own, **environment}
        self.process: subprocess.Popen[bytes] | None = None

    @contextlib.contextmanager
    def up(self, *, within: float = 120.0) -> Iterator[Self]:
        """Start it, wait until it is ready, stop it in order.

        Raises:
            PlatformNotReady: It ended early, or is not ready within this many seconds; with what it printed.
        """
        with (self.folder / "output").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "taskbell.local", "up"], env=self.environment, stdout=output, stderr=output
            )
        try:
            deadline = time.monotonic() + within
            while not self.run_json.exists():
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise PlatformNotReady((self.folder / "output").read_text())
                time.sleep(0.05)
            yield self
        finally:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()  # its parts end with it
                self.process.wait()

    @property
    def run_json(self) -> Path:
        """The file that describes it once it is ready."""
        return self.data / "run.json"

    @property
    def run(self) -> dict[str, Any]:
        """The present content of that file."""
        found: dict[str, Any] = json.loads(self.run_json.read_text())
        return found

    @property
    def api_url(self) -> str:
        """Base of the API."""
        return str(self.run["api_url"])

    @property
    def gateway_url(self) -> str:
        """Address of the WebSocket."""
        return str(self.run["gateway_url"]).removesuffix("/ws") + "/ws"

    def pid(self, part: str) -> int | None:
        """The process of a part; None while it is being started again."""
        pid: int | None = self.run["components"][part]["pid"]
        return pid

    def port(self, part: str) -> int:
        """The port that a part serves."""
        return int(self.run["components"][part]["port"])

    def signal(self, part: str, number: signal.Signals) -> int:
        """Send a signal to a part's process; return its id."""
        pid = self.pid(part)
        assert pid is not None  # noqa: S101 -- a mistake in the test: the part is not running
        os.kill(pid, number)
        return pid

    async def kill(self, part: str, *, within: float = DEADLINE) -> float:
        """Kill a part (SIGKILL), wait until it runs again and is ready; return the seconds it took."""
        started = time.monotonic()
        await self.renewed(part, self.signal(part, signal.SIGKILL), within=within)
        return time.monotonic() - started

    async def renewed(self, part: str, old: int, *, within: float = DEADLINE) -> None:
        """Wait until a part has another process than `old`, and the platform is ready with it."""
        await eventually(
            lambda: self.pid(part), f"{part} again", within=within, wanted=lambda found: found not in {old, None}
        )
        for service in ("api", "relay", "relay-2", "gateway"):
            await self.ready(service, within=within)

    async def ready(self, part: str, *, within: float = DEADLINE) -> dict[str, Any]:
        """Wait until a part says that it is ready and all its checks are well; return what it said."""

        async def readiness() -> tuple[int | None, dict[str, Any]]:
            return await self.readiness(part)

        def well(answer: tuple[int | None, dict[str, Any]]) -> bool:
            return answer[0] == httpx.codes.OK and set(answer[1]["checks"].values()) == {"ok"}

        return (await eventually(readiness, f"{part} ready", within=within, wanted=well))[1]

    async def readiness(self, part: str) -> tuple[int | None, dict[str, Any]]:
        """Status and body of a part's `/readyz` now; None when it does not answer at all."""
        try:
            async with self.client(part, timeout=5) as client:
                answer = await client.get("/readyz")
        except httpx.TransportError:
            return None, {}
        return answer.status_code, answer.json()

    async def active_relay(self, *, within: float = DEADLINE) -> str:
        """The relay that holds the lease, by its own metric."""

        async def holder() -> str:
            for part in ("relay", "relay-2"):
                with contextlib.suppress(httpx.TransportError):
                    async with self.client(part, timeout=1) as client:
                        text = (await client.get("/metrics")).text
                    if "taskbell_relay_lease_held 1.0" in text:
                        return part
            return ""

        return await eventually(holder, "an active relay", within=within)

    def client(self, part: str = "api", *, timeout: float = 20.0, account: Account | None = None) -> httpx.AsyncClient:
        """A client of a part's HTTP side, signed in where an account is given."""
        return httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port(part)}",
            timeout=timeout,
            trust_env=False,
            headers=account.headers if account else None,
        )

    async def register(self, email: str) -> Account:
        """Make an account with a random password and sign in."""
        async with self.client() as client:
            account = {"email": email, "password": secrets.token_urlsafe(12)}
            made = await client.post("/v1/auth/register", json={**account, "name": email.partition("@")[0]})
            made.raise_for_status()
            token = (await client.post("/v1/auth/login", json=account)).raise_for_status().json()["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            user = (await client.get("/v1/me", headers=headers)).raise_for_status().json()
            workspaces = (await client.get("/v1/workspaces", headers=headers)).raise_for_status().json()["items"]
        return Account(user_id=user["id"], workspace_id=workspaces[0]["id"], email=email, token=token)
