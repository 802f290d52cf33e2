"""The listeners of a million, in a process of their own: two for each team, the owner and the mate.

Run as `python -m taskbell.capacity.million.listeners <folder>`, until SIGTERM.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from pathlib import Path

import uvloop

from taskbell.capacity.briefing import Account
from taskbell.capacity.million.ears import MATE, OWNER, Ears, row_of
from taskbell.capacity.million.plan import Plan
from taskbell.capacity.million.store import Store
from taskbell.client.connection import Connection, Frame
from taskbell.client.following import follow
from taskbell.contract.frames import Resume, ServerFrame


class Listener:
    """One person of a team, over as many connections as it takes."""

    def __init__(self, number: int, account: Account, *, plan: Plan, url: str, ears: Ears) -> None:
        """Take an account; `listen` connects, and goes on where the file says."""
        self._number, self._account, self._plan, self._url, self._ears = number, account, plan, url, ears
        self._role = MATE if number % 2 else OWNER

    async def listen(self) -> None:
        """Listen until cancelled."""

        async def connect(cursor: str | None) -> Connection:
            connection = await Connection.open(self._url, cursor=cursor, ping_interval=None, proxy=None)
            channels = [f"workspace:{self._account.workspace_id}"]
            await connection.hello(token=self._account.token, channels=channels, coalesce=False)
            return connection

        cursor = self._ears.ear(self._number).cursor
        async with contextlib.aclosing(follow(connect, cursor=cursor, longest_pause=2.0)) as found:
            async for one in found:
                if isinstance(one, Frame):
                    self._take(one)
                else:
                    sys.stderr.write(f"listener {self._number}: {one.reason}\n")
                    self._ears.set_open(self._number, is_open=False)
                    self._ears.count_reconnect(self._number)

    def _take(self, frame: Frame) -> None:
        if frame.kind == ServerFrame.WELCOME:
            self._ears.set_open(self._number, is_open=True)
            if frame.fields["resume"] == Resume.GAP:
                self._ears.count_gap(self._number)
            if frame.fields["resume"] != Resume.OK:
                self._ears.pass_over(self._number, frame.fields["cursor"])
        elif frame.kind == ServerFrame.EVENT:
            event, cursor = frame.fields["event"], frame.fields["cursor"]
            counted = row_of(self._role, event)
            if counted is None:
                self._ears.pass_over(self._number, cursor)
                return
            row, title = counted
            number = self._plan.number_of(title)
            if number is None or self._plan.team_of(number) != self._number // 2:
                self._ears.count_strange(self._number)
                self._ears.pass_over(self._number, cursor)
            else:
                self._ears.take(self._number, cursor, row, number)


async def main(folder: Path) -> None:
    """Listen until SIGTERM."""
    store = Store(folder)
    state = store.read()
    ears = Ears(store.ears, state.plan)
    ears.recover()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    accounts = [account for pair in zip(state.owners, state.mates, strict=True) for account in pair]
    listening = [
        asyncio.create_task(Listener(number, account, plan=state.plan, url=state.gateway_url, ears=ears).listen())
        for number, account in enumerate(accounts)
    ]
    waiting = asyncio.create_task(stopped.wait())
    done, _ = await asyncio.wait([waiting, *listening], return_when=asyncio.FIRST_COMPLETED)
    for task in (waiting, *listening):
        task.cancel()
    await asyncio.gather(*listening, return_exceptions=True)
    for task in done - {waiting}:
        task.result()  # a listener ends only by an unexpected error: fail with it


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1])))
