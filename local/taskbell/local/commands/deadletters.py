"""`taskbell deadletters`: lists, shows and redrives what could not be processed or delivered."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

import typer
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from taskbell.delivery.app import DEAD_LETTERS
from taskbell.delivery.dead_deliveries import DeadDeliveries, dead_deliveries
from taskbell.delivery.repository import LedgerUnavailable
from taskbell.kit.logs import configure_logs
from taskbell.kit.nats_bus import BusUnavailable, connect
from taskbell.kit.nats_dead_letters import DeadLetter, DeadLetters
from taskbell.kit.settings import load
from taskbell.local import run_file
from taskbell.local.data_dir import DataDir
from taskbell.local.settings import LocalSettings

_EVENT = "event-"
_BATCH = 500
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class DeadLetterSettings(LocalSettings):
    """Environment variables of `taskbell deadletters`, prefix `TASKBELL_`."""

    database_url: SecretStr | None = None
    """PostgreSQL primary, with the rights of the delivery workers or of the schema's owner. If this or NATS_URL is
    unset: the platform that runs in TASKBELL_DATA_DIR."""
    nats_url: SecretStr | None = None
    """NATS with JetStream, under the user of the delivery workers or the one without limits."""


class IdUnknown(ValueError):
    """No dead letter has this id."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where they are: unprocessed events in a stream, deliveries that were given up in the ledger."""

    events: DeadLetters
    deliveries: DeadDeliveries


def group() -> typer.Typer:
    """The commands."""
    app = typer.Typer(
        name="deadletters",
        help="List, show and redrive what could not be processed or delivered.",
        no_args_is_help=True,
    )
    app.command("list")(list_letters)
    app.command("show")(show)
    app.command("redrive")(redrive)
    return app


def list_letters(
    *,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The most of each kind, the oldest first.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List events that could not be processed (`event-...`) and deliveries that were given up."""

    async def work(places: Places) -> list[dict[str, Any]]:
        events = [_event_line(letter) for letter in await places.events.page(limit=limit)]
        return events + [_delivery_line(row) for row in await places.deliveries.page(past=None, limit=limit)]

    lines = _run(work)
    if as_json:
        print(json.dumps(lines, default=str))
        return
    table = Table("id", "what", "attempts", "reason", "since")
    for line in lines:
        table.add_row(line["id"], line["what"], str(line["attempts"]), line["reason"], str(line["since"]))
    Console().print(table if lines else "no dead letters")


def show(identity: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")]) -> None:
    """Print one with its event as JSON."""

    async def work(places: Places) -> dict[str, Any]:
        if identity.startswith(_EVENT):
            letter = await _letter(places, identity)
            body = None if letter.data is None else letter.data.decode(errors="replace")
            return {**_event_line(letter), "headers": dict(letter.headers), "payload": body}
        row = await places.deliveries.get(_uuid(identity))
        if row is None:
            raise IdUnknown(f"no dead letter {identity}")
        return row

    print(json.dumps(_run(work), default=str, indent=2))


def redrive(
    identities: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="As `list` shows them.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Redrive all.")] = False,
    as_json: AsJson = False,
) -> None:
    """Process events again, and try deliveries again at once, for as long as the first time.

    Running it twice is harmless: an event reaches an endpoint under the same id.
    """
    if bool(identities) == everything:
        raise typer.BadParameter("name ids, or --all")

    async def work(places: Places) -> dict[str, int]:
        if everything:
            return await _redrive_all(places)
        letters = [await _letter(places, each) for each in identities or () if each.startswith(_EVENT)]
        rows = [_uuid(each) for each in identities or () if not each.startswith(_EVENT)]
        events = [await places.events.redrive(letter) for letter in letters]
        begun = await places.deliveries.redrive(rows)
        return {
            "events": sum(events),
            "expired": events.count(False),
            "deliveries": begun,
            "unknown": len(rows) - begun,
        }

    report = _run(work)
    if as_json:
        print(json.dumps(report))
    else:
        print(f"redriven: {report['events']} events, {report['deliveries']} deliveries")
        if report["expired"]:
            print(f"{report['expired']} events have expired in the stream: see `taskbell replay`")
        if report["unknown"]:
            print(f"{report['unknown']} ids are not dead letters")
    if report["unknown"]:
        raise typer.Exit(1)


async def _redrive_all(places: Places) -> dict[str, int]:
    events = [await places.events.redrive(letter) for letter in await places.events.page(limit=_BATCH * 20)]
    deliveries, past = 0, None
    while rows := await places.deliveries.page(past=past, limit=_BATCH):
        past = rows[-1]["id"]
        deliveries += await places.deliveries.redrive([row["id"] for row in rows])
    return {"events": sum(events), "expired": events.count(False), "deliveries": deliveries, "unknown": 0}


async def _letter(places: Places, identity: str) -> DeadLetter:
    number = identity.removeprefix(_EVENT)
    letter = await places.events.get(int(number)) if number.isascii() and number.isdigit() else None
    if letter is None:
        raise IdUnknown(f"no dead letter {identity}")
    return letter


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise IdUnknown(f"no dead letter {text}") from None


def _event_line(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": f"{_EVENT}{letter.sequence}",
        "what": letter.subject,
        "attempts": letter.deliveries,
        "reason": letter.reason,
        "since": letter.time,
    }


def _delivery_line(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": str(row["id"]),
        "what": f"{row['event_type']} {row['event_id']} to {row['channel']} {row['endpoint_id']}",
        "attempts": row["attempts"],
        "reason": row["error"] or "",
        "since": row["attempted_at"],
    }


def _run(work: Callable[[Places], Awaitable[Any]]) -> Any:
    configure_logs(service="deadletters", level="ERROR")  # standard output is for the answer

    async def connected() -> Any:
        async with _places() as places:
            return await work(places)

    try:
        return asyncio.run(connected())
    except LedgerUnavailable as away:
        line = f"PostgreSQL does not answer: {away}"
    except (IdUnknown, BusUnavailable, ValueError) as refused:
        line = str(refused)
    sys.stderr.write(f"taskbell: {line}\n")
    raise typer.Exit(1)


@asynccontextmanager
async def _places() -> AsyncIterator[Places]:
    database_url, nats_url = _urls()
    async with AsyncExitStack() as stack:
        deliveries = await stack.enter_async_context(dead_deliveries(database_url))
        bus = await connect(nats_url, name="taskbell-deadletters")
        stack.push_async_callback(bus.close)
        yield Places(events=DeadLetters(bus, DEAD_LETTERS), deliveries=deliveries)


def _urls() -> tuple[str, str]:
    settings = load(DeadLetterSettings)
    if settings.database_url is not None and settings.nats_url is not None:
        return settings.database_url.get_secret_value(), settings.nats_url.get_secret_value()
    running = run_file.read(DataDir(settings.data_dir).run)
    if running is None:
        raise ValueError(
            "set TASKBELL_DATABASE_URL and TASKBELL_NATS_URL, or start `taskbell up` and name its TASKBELL_DATA_DIR"
        )
    return running.owner_database_url, running.nats_url
