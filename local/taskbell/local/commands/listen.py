"""`taskbell listen`: a terminal client of the WebSocket gateway."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from typing import Annotated, NoReturn
from urllib.parse import urlsplit

import httpx
import orjson
import typer

from taskbell.client.connection import Frame
from taskbell.contract.cursors import CursorMalformed, EventCursor
from taskbell.contract.frames import ServerFrame
from taskbell.kit.settings import load
from taskbell.local import run_file
from taskbell.local.data_dir import DataDir
from taskbell.local.listening import SignIn, SignInRefused, following, websocket_address
from taskbell.local.settings import LocalSettings
from taskbell.terminal.events import describe, remark


def listen(
    *,
    url: Annotated[str | None, typer.Option(help="Gateway, ws(s)://...; default: the platform that runs here.")] = None,
    api_url: Annotated[str | None, typer.Option(help="API to sign in at, with --email.")] = None,
    email: Annotated[str | None, typer.Option(help="Account; default: the demo account.")] = None,
    password: Annotated[str | None, typer.Option(envvar="TASKBELL_LISTEN_PASSWORD", help="Its password.")] = None,
    token: Annotated[str | None, typer.Option(envvar="TASKBELL_LISTEN_TOKEN", help="An access token instead.")] = None,
    workspace: Annotated[list[str] | None, typer.Option(help="Follow a whole workspace, too. Repeatable.")] = None,
    cursor: Annotated[str | None, typer.Option(help="Begin after this cursor; default: now.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after this many events.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print events as JSON lines, with their cursors.")] = False,
) -> None:
    """Print events as they happen, one a line; come back by cursor whenever the connection ends."""
    _check(url=url, api_url=api_url, cursor=cursor)
    address, sign_in = _target(url=url, api_url=api_url, email=email, password=password, token=token)
    channels = [f"workspace:{one}" for one in workspace or ()]
    try:
        asyncio.run(_follow(address, sign_in, channels=channels, cursor=cursor, count=count, as_json=as_json))
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
    except SignInRefused as refused:
        sys.stderr.write(f"taskbell: {refused}\n")
        raise typer.Exit(1) from None


def _check(*, url: str | None, api_url: str | None, cursor: str | None) -> None:
    """Refuse malformed addresses and cursors before anything is tried."""
    addresses = {"--url": (url, ("ws", "wss", "http", "https")), "--api-url": (api_url, ("http", "https"))}
    for option, (address, schemes) in addresses.items():
        if address is not None and (urlsplit(address).scheme not in schemes or not urlsplit(address).hostname):
            _refuse(f"{option}: not an address like {schemes[1]}://tasks.example.com: {address}")
    if cursor is not None:
        try:
            EventCursor.parse(cursor)
        except CursorMalformed as malformed:
            _refuse(f"--cursor: {malformed}: {cursor}")


def _refuse(line: str) -> NoReturn:
    sys.stderr.write(f"taskbell: {line}\n")
    raise typer.Exit(2)


def _target(
    *, url: str | None, api_url: str | None, email: str | None, password: str | None, token: str | None
) -> tuple[str, SignIn]:
    """Fill what was not given from `run.json`, or stop with one line."""
    running = run_file.read(DataDir(load(LocalSettings).data_dir).run)
    if running is not None:
        url = url or running.gateway_url
        api_url = api_url or running.api_url
        if email is None and token is None:
            email, password = running.demo.email, password or running.demo.password
    if url is None:
        _refuse("no platform runs here: give --url, or TASKBELL_DATA_DIR of one that runs")
    if token is None and (api_url is None or email is None or password is None):
        _refuse("give --token, or --api-url, --email and --password")
    return websocket_address(url), SignIn(api_url or "", email or "", password or "", token)


async def _follow(
    address: str, sign_in: SignIn, *, channels: list[str], cursor: str | None, count: int | None, as_json: bool
) -> None:
    seen = 0
    async with (
        httpx.AsyncClient(timeout=10) as client,
        aclosing(following(address, sign_in, client=client, channels=channels, cursor=cursor)) as frames,
    ):
        async for found in frames:
            if isinstance(found, Frame) and found.kind == ServerFrame.EVENT:
                kept = {"cursor": found.fields["cursor"], "event": found.fields["event"]}
                print(orjson.dumps(kept).decode() if as_json else describe(kept["event"]), flush=True)
                seen += 1
                if seen == count:
                    return
            elif (line := remark(found)) is not None:
                print(f"-- {line}", file=sys.stderr, flush=True)
