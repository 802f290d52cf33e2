"""`taskbell replay`: rebuilds the event stream from PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

import typer
from pydantic import SecretStr, TypeAdapter, ValidationError
from rich.console import Console

from taskbell.kit.settings import load
from taskbell.local import run_file
from taskbell.local.data_dir import DataDir
from taskbell.local.settings import LocalSettings
from taskbell.relay.errors import DatabaseUnavailable
from taskbell.relay.repository import ReplayProgress, Replays, connected

_EVERY = 0.2
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)  # ids begin with the milliseconds since
_DURATION = re.compile(r"\AP[0-9T]", re.ASCII)


class ReplaySettings(LocalSettings):
    """Environment variables of `taskbell replay`, prefix `TASKBELL_`."""

    database_url: SecretStr | None = None
    """PostgreSQL primary, with the rights of the relay or of the schema's owner. Unset: the platform that runs in
    TASKBELL_DATA_DIR."""


def replay(
    *,
    since: Annotated[str, typer.Option("--from", help="An instant (RFC 3339, with its offset), or a duration: P1D.")],
    wait: Annotated[bool, typer.Option(help="Wait until everything is published.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")] = False,
) -> None:
    """Rebuild the event stream: publish all events since an instant again, in order, under a new epoch.

    Clients learn of a gap and fetch the state again. Events that were never published are always included.
    Interrupting this command does not interrupt the replay.
    """
    try:
        start = parse_instant(since, now=datetime.now(UTC))
        report = asyncio.run(_replay(_database_url(), start, wait=wait, quiet=as_json))
    except ValueError as refused:
        sys.stderr.write(f"taskbell: {refused}\n")
        raise typer.Exit(1) from None
    except DatabaseUnavailable as away:
        sys.stderr.write(f"taskbell: PostgreSQL does not answer: {away}\n")
        raise typer.Exit(1) from None
    if as_json:
        print(json.dumps(report))
    elif wait:
        print(f"{report['published']} events since {report['from']} are in the stream, epoch {report['epoch']}")
    else:
        print(f"asked for; the active relay begins epoch {report['epoch']} within a second or so")


def parse_instant(text: str, *, now: datetime) -> datetime:
    """Read an instant, or a duration before `now`.

    Raises:
        ValueError: It is malformed, lies in the future or before 1970, or has no offset from UTC.
    """
    try:
        if _DURATION.match(text):
            duration = TypeAdapter(timedelta).validate_python(text)
            found = now - duration if duration <= now - _FIRST else _FIRST - timedelta.resolution
        else:
            found = datetime.fromisoformat(text)
    except (ValueError, ValidationError):
        raise ValueError(f"--from: neither an instant like 2026-11-20T08:00:00Z nor a duration: {text}") from None
    if found.tzinfo is None:
        raise ValueError(f"--from: add the offset from UTC, such as {found.isoformat()}Z")
    if found < _FIRST:
        raise ValueError("--from: that is before 1970; for all events: 1970-01-01T00:00:00Z")
    if found > now:
        raise ValueError("--from: that is in the future")
    return found


def _database_url() -> str:
    settings = load(ReplaySettings)
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    running = run_file.read(DataDir(settings.data_dir).run)
    if running is None:
        raise ValueError("set TASKBELL_DATABASE_URL, or start `taskbell up` and name its TASKBELL_DATA_DIR")
    return running.owner_database_url


async def _replay(url: str, since: datetime, *, wait: bool, quiet: bool) -> dict[str, object]:
    console = Console(stderr=True, quiet=quiet, highlight=False)
    async with connected(url) as session:
        replays = Replays(session)
        ended, asked = await replays.request(since), datetime.now(UTC)
        started = time.monotonic()
        report: dict[str, object] = {"from": since.isoformat(), "epoch": ended + 1, "published": None}
        if wait:
            with console.status("waiting for the relay") as status:
                async for progress in _watch(replays, after=ended):
                    status.update(describe(progress, since=since, until=asked))
                    report |= {"epoch": progress.epoch, "published": progress.published}
        report["seconds"] = round(time.monotonic() - started, 2)
    return report


async def _watch(replays: Replays, *, after: int) -> AsyncIterator[ReplayProgress]:
    """Yield the progress until a later epoch than `after` is published as a whole."""
    while True:
        progress = await replays.progress()
        yield progress
        if progress.epoch > after and not progress.waiting and not progress.carrying:
            return
        await asyncio.sleep(_EVERY)


def describe(progress: ReplayProgress, *, since: datetime, until: datetime) -> str:
    """Describe in one line how far a replay of the events between two instants has come."""
    if progress.waiting:
        return "waiting for the relay to begin" if progress.relay_active else "waiting: no relay is active"
    if progress.last_id is None:
        return f"epoch {progress.epoch}: begun"
    reached = instant_of(progress.last_id)
    share = (reached - since) / (until - since) if until > since else 1.0
    return f"epoch {progress.epoch}: {progress.published} events, {max(0.0, min(share, 1.0)):.0%} of the time span"


def instant_of(identity: UUID) -> datetime:
    """When a UUIDv7 was made (RFC 9562: it begins with 48 bits of Unix milliseconds)."""
    return datetime.fromtimestamp((identity.int >> 80) / 1000, UTC)
