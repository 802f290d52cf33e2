"""`taskbell watch`: events as they happen."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import aclosing
from functools import partial
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from taskbell.client.connection import Connection, Frame
from taskbell.client.following import follow
from taskbell.contract.cursors import CursorMalformed, EventCursor
from taskbell.contract.frames import ServerFrame
from taskbell.terminal import lookup
from taskbell.terminal.addresses import is_here
from taskbell.terminal.api import Api
from taskbell.terminal.aside import aside
from taskbell.terminal.errors import Misused, Unreachable, reported
from taskbell.terminal.events import describe, remark
from taskbell.terminal.options import AsJson, ProfileName, signed_in
from taskbell.terminal.rendering import as_json


@reported()
def watch(
    *,
    workspace: Annotated[
        list[str] | None, typer.Option("--workspace", "-w", help="Everything in this workspace, too. Repeatable.")
    ] = None,
    after: Annotated[
        str | None, typer.Option(metavar="CURSOR", help="Begin after this cursor of --json; default: now.")
    ] = None,
    count: Annotated[int | None, typer.Option("--count", "-n", min=1, help="Stop after so many events.")] = None,
    profile: ProfileName = "default",
    json_: AsJson = False,
) -> None:
    """Show what happens to you, as it happens, until Ctrl-C; no event is lost when a connection ends.

    With --json one event a line, with its cursor.
    """
    if after is not None:
        try:
            EventCursor.parse(after)
        except CursorMalformed as malformed:
            raise Misused(f"--after: {malformed}: {after}") from malformed
    with signed_in(profile) as api:
        channels = [f"workspace:{lookup.workspace(api, text)}" for text in workspace or ()]
        try:
            asyncio.run(_watch(api, channels=channels, cursor=after, count=count, json_=json_))
        except KeyboardInterrupt:
            raise typer.Exit(0) from None


async def _watch(api: Api, *, channels: Sequence[str], cursor: str | None, count: int | None, json_: bool) -> None:
    async def connect(at: str | None) -> Connection:
        try:
            ticket = await aside(partial(api.send, "POST", "/v1/realtime/tickets", key=False))
        except Unreachable as away:
            raise ConnectionError(str(away)) from away
        options: dict[str, Any] = {"proxy": None} if is_here(urlsplit(ticket["url"]).hostname or "") else {}
        connection = await Connection.open(ticket["url"], cursor=at, **options)
        await connection.hello(channels=channels, coalesce=False)
        return connection

    seen = 0
    async with aclosing(follow(connect, cursor=cursor)) as frames:
        async for found in frames:
            if isinstance(found, Frame) and found.kind == ServerFrame.EVENT:
                kept = {"cursor": found.fields["cursor"], "event": found.fields["event"]}
                if json_:
                    as_json(kept)
                else:
                    print(describe(kept["event"]), flush=True)
                seen += 1
                if seen == count:
                    return
            elif (line := remark(found)) is not None:
                print(f"-- {line}", file=sys.stderr, flush=True)
