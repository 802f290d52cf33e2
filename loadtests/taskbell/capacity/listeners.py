"""The WebSocket listeners of a run, in a process of their own: each keeps what it received.

Started by `taskbell.capacity.run`; at SIGTERM it writes all of it into the run's folder and ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import ssl
import sys
import time
from array import array
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import uvloop

from taskbell.capacity import titles
from taskbell.capacity.briefing import Account, Briefing
from taskbell.capacity.evidence import OVERDUE, is_followed
from taskbell.capacity.titles import Title
from taskbell.client.connection import Connection, Frame
from taskbell.client.following import follow
from taskbell.contract.events import EventType
from taskbell.contract.frames import Resume, ServerFrame

_OPENING_AT_ONCE = 20


def trusting(briefing: Briefing | None) -> ssl.SSLContext:
    """How to verify the gateway's certificate."""
    return ssl.create_default_context(cafile=briefing.ca if briefing is not None and briefing.ca else None)


class Heard:
    """What all listeners received. Each id is kept once: many listeners receive the same event."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.numbers: dict[str, int] = {}
        self.latencies_ms: list[float] = []
        self.lateness_ms: list[float] = []
        self.frames = 0

    def take(self, event: dict[str, Any], *, title: Title | None = None, is_outside: bool = False) -> int:
        """Record an event and its latency; return the number of its id.

        Another installation has another clock: there the time since the request counts, which the title tells.
        """
        now = time.time()
        if not is_outside:
            committed = datetime.fromisoformat(event["time"]).timestamp()
            self.latencies_ms.append(round((now - committed) * 1000, 1))
        elif title is not None and event["type"] == EventType.TASK_CREATED:
            self.latencies_ms.append(round((now - title.sent) * 1000, 1))
        is_notice = event["type"] == EventType.NOTIFICATION_CREATED
        if title is not None and title.due and is_notice and event["data"]["kind"] == OVERDUE:
            self.lateness_ms.append(round((now - title.due) * 1000, 1))
        self.frames += 1
        return self.numbers.setdefault(event["id"], len(self.numbers))


class Listener:
    """One client over as many connections as it takes."""

    def __init__(
        self, account: Account, *, url: str, heard: Heard, briefing: Briefing | None = None, thinks: float = 0.0
    ) -> None:
        """Take an account; `listen` connects. After a frame it reads nothing for up to `thinks` seconds."""
        self._briefing = briefing
        self._thinks = thinks
        self._account = account
        self._url = url
        self._heard = heard
        self.is_open = False
        self.joined = ""
        self.events = array("L")
        self.reconnects = 0
        self.gaps = 0

    async def listen(self, opening: asyncio.Semaphore) -> None:
        """Listen until cancelled; come back after each end of the connection."""

        async def connect(cursor: str | None) -> Connection:
            async with opening:
                secured: dict[str, Any] = {"ssl": trusting(self._briefing)} if self._url.startswith("wss:") else {}
                connection = await Connection.open(self._url, cursor=cursor, ping_interval=None, proxy=None, **secured)
            channels = [f"workspace:{self._account.workspace_id}"]
            await connection.hello(token=self._account.token, channels=channels, coalesce=False)
            return connection

        async with contextlib.aclosing(follow(connect, longest_pause=3.0)) as found:
            async for one in found:
                if isinstance(one, Frame):
                    self._take(one)
                    if self._thinks:
                        await asyncio.sleep(random.uniform(0, self._thinks))
                else:
                    sys.stderr.write(f"listener: {one.reason}\n")
                    self.is_open = False
                    self.reconnects += 1

    def _take(self, frame: Frame) -> None:
        match frame.kind:
            case ServerFrame.EVENT:
                event = frame.fields["event"]
                # An invitation to another workspace is none of the team's events.
                if event["workspaceid"] == self._account.workspace_id and is_followed(event["type"]):
                    self._take_event(event)
            case ServerFrame.WELCOME:
                self.is_open = True
                self.joined = self.joined or frame.fields["cursor"]
                self.gaps += frame.fields["resume"] == Resume.GAP

    def _take_event(self, event: dict[str, Any]) -> None:
        about = self._briefing
        if about is None:
            self.events.append(self._heard.take(event))
            return
        title = titles.read(about.run, str(event["data"].get("title", "")))
        if title is not None or not about.is_outside:  # others work there, too
            self.events.append(self._heard.take(event, title=title, is_outside=about.is_outside))

    def as_json(self) -> dict[str, Any]:
        """Return what it received as plain values."""
        return {
            "user": self._account.user_id,
            "joined": self.joined,
            "events": self.events.tolist(),
            "reconnects": self.reconnects,
            "gaps": self.gaps,
        }


class Crowd:
    """All listeners: one for each account, then further ones in rotation."""

    def __init__(self, briefing: Briefing) -> None:
        """Begin without listeners."""
        self._briefing = briefing
        self._heard = Heard()
        self._listeners: list[Listener] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._opening = asyncio.Semaphore(_OPENING_AT_ONCE)

    async def run(self, stopped: asyncio.Event) -> None:
        """Grow as asked and report twice a second until stopped; then write everything."""
        with self._briefing.heard_by_second.open("ab") as lines:
            while not stopped.is_set():
                self._grow()
                lines.write(orjson.dumps(self._since_last_time()) + b"\n")
                lines.flush()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopped.wait(), 0.5)
        for listening in self._tasks:
            listening.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        everything = {
            "ids": list(self._heard.numbers),
            "listeners": [listener.as_json() for listener in self._listeners if listener.joined],
        }
        self._briefing.heard.write_bytes(orjson.dumps(everything))

    def _grow(self) -> None:
        for listening in self._tasks:
            if listening.done():
                listening.result()  # a listener ends only by an unexpected error: fail with it
        wanted = self._briefing.wanted_listeners
        number = len(self._briefing.accounts) + (int(wanted.read_text()) if wanted.exists() else 0)
        accounts = self._briefing.accounts
        for n in range(len(self._listeners), number):
            listener = Listener(
                accounts[n % len(accounts)],
                url=self._briefing.gateway_url,
                heard=self._heard,
                briefing=self._briefing,
                # The first of each account measures, the others are like people.
                thinks=self._briefing.plan.think_seconds if n >= len(accounts) else 0.0,
            )
            self._listeners.append(listener)
            self._tasks.append(asyncio.create_task(listener.listen(self._opening), name=f"listener {n}"))

    def _since_last_time(self) -> dict[str, Any]:
        latencies, self._heard.latencies_ms = self._heard.latencies_ms, []
        lateness, self._heard.lateness_ms = self._heard.lateness_ms, []
        return {
            "at": time.time(),
            "wanted": len(self._listeners),
            "open": sum(listener.is_open for listener in self._listeners),
            "frames": self._heard.frames,
            "latencies_ms": latencies,
            "lateness_ms": lateness,
        }


async def main(path: Path) -> None:
    """Listen until SIGTERM."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await Crowd(Briefing.read(path)).run(stopped)


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1])))
