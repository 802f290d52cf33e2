"""What `taskbell-sweeper` does: one sweep."""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import orjson
import uvloop

from taskbell.contract.notices import Kind
from taskbell.contract.reminder_schedules import STAYING, SweepKind
from taskbell.contract.subjects import RELAY_POKE
from taskbell.kit.entry import asked_to_stop
from taskbell.kit.logs import configure_logs
from taskbell.kit.nats_bus import Pokes, connecting
from taskbell.kit.settings import load
from taskbell.start import signals
from taskbell.sweeper.errors import SweepInterrupted
from taskbell.sweeper.maintenance import maintain
from taskbell.sweeper.policy import Part, Shard, parse_lead, parse_shard, parse_span
from taskbell.sweeper.repository import connected, maintaining, sweeping
from taskbell.sweeper.settings import RetentionSettings, SweepSettings
from taskbell.sweeper.sweep import sweep
from taskbell.sweeper.walk import Walker, walk
from taskbell.sweeper.walk_repository import Digests, StaleTasks


def main() -> None:
    """Run one sweep to its end.

    Exit status 0: done; 1: interrupted or incomplete; 2: wrong arguments or settings; 143: SIGTERM cut maintenance off.
    """
    parser = _parser()
    arguments = parser.parse_args()
    if refusal := _find_misuse(arguments):
        parser.error(refusal)
    try:
        if arguments.kind != "maintenance":
            settings = load(SweepSettings)
            configure_logs(service="sweeper", level=settings.log_level)
            if arguments.kind in STAYING:
                kind = Kind.OVERDUE if arguments.kind == "overdue" else Kind.DUE_SOON
                part = Part(arguments.shard, tuple(dict.fromkeys(arguments.lead)), kind)
                report = uvloop.run(_sweep(settings, part, stay=arguments.until))
            else:
                report = uvloop.run(_walk(settings, arguments.kind, arguments.shard))
        else:
            signals.end_with(signals.INTERRUPTED)  # a Job that ended with status 0 would not be done again
            retention = load(RetentionSettings)
            configure_logs(service="sweeper")
            report = uvloop.run(_maintain(retention))
    except SweepInterrupted as refused:
        sys.stderr.write(f"taskbell: {refused}\n")
        raise SystemExit(1) from None
    _tell(report, as_json=arguments.json)
    if arguments.report:
        _hand_in(report, arguments.report)
    if failed := report.get("failed"):
        sys.stderr.write(f"taskbell: steps of the maintenance failed: {', '.join(failed)}\n")
        raise SystemExit(1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="taskbell-sweeper", description="Run one sweep to its end.")
    parser.add_argument("--kind", choices=get_args(SweepKind), default="due", help="what is swept")
    parser.add_argument(
        "--shard",
        type=_argument(parse_shard),
        default=Shard(),
        metavar="I/N",
        help="a part of the tasks or users, I from 0; not of maintenance",
    )
    parser.add_argument(
        "--lead",
        type=_argument(parse_lead),
        action="append",
        default=[],
        metavar="24h",
        help="kind due: only reminders that fire so long before the due time; may be given again; without, all",
    )
    parser.add_argument(
        "--until",
        type=_argument(parse_span),
        default=timedelta(0),
        metavar="+60s",
        help="kinds due and overdue: stay so long and fire on time; without, fire what is due and end",
    )
    parser.add_argument("--report", metavar="FILE", help="also write the summary to a file, as one JSON object")
    parser.add_argument("--json", action="store_true", help="print the summary as one JSON object")
    return parser


def _find_misuse(arguments: argparse.Namespace) -> str | None:
    """Which argument has no meaning for this kind of sweep; None if each has."""
    if arguments.lead and arguments.kind != "due":
        return "--lead is for --kind due"
    if arguments.until and arguments.kind not in STAYING:
        return "--until is for --kind due and --kind overdue"
    if arguments.kind == "maintenance" and arguments.shard != Shard():
        return "--shard is not for --kind maintenance"
    return None


def _argument(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as refused:
            raise argparse.ArgumentTypeError(str(refused)) from None

    return read


@asynccontextmanager
async def _poking(settings: SweepSettings) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """What wakes the relay: nothing where no NATS is named."""
    if settings.nats_url is None:

        async def rest() -> None:
            return

        yield rest
        return
    async with connecting(settings.nats_url.get_secret_value(), name="taskbell-sweeper") as client:
        pokes = Pokes(client)

        async def poke() -> None:
            await pokes.send(RELAY_POKE)

        try:
            yield poke
        finally:
            await pokes.settle()


async def _sweep(settings: SweepSettings, part: Part, *, stay: timedelta) -> dict[str, Any]:
    async with _poking(settings) as poke, sweeping(settings.way_to(settings.database_url)) as reminders:
        summary = await sweep(
            reminders,
            part=part,
            batch_size=settings.reminder_batch_size,
            stay=stay,
            stopping=asked_to_stop(),
            poke=poke,
        )
    return summary.document()


async def _walk(settings: SweepSettings, kind: str, shard: Shard) -> dict[str, Any]:
    async with _poking(settings) as poke, connected(settings.way_to(settings.database_url)) as session:
        walker: Walker = Digests(session, shard=shard)
        if kind == "stale":
            walker = StaleTasks(session, shard=shard, stale_after=settings.stale_after)
        report = await walk(
            walker, kind=kind, batch_size=settings.reminder_batch_size, stopping=asked_to_stop(), poke=poke
        )
    return report.document()


async def _maintain(settings: RetentionSettings) -> dict[str, Any]:
    async with maintaining(settings.database_url) as maintenance:
        return await maintain(maintenance, settings)


def _hand_in(report: dict[str, Any], path: str) -> None:
    """Write a report to a file, such as the termination message of a pod. The sweep counts as done without it."""
    try:
        Path(path).write_bytes(orjson.dumps(report))
    except OSError as refused:
        sys.stderr.write(f"taskbell: the report was not written: {refused}\n")


def _tell(report: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(orjson.dumps(report).decode() + "\n")
    else:
        sys.stdout.write("".join(f"{name}: {value}\n" for name, value in report.items()))
