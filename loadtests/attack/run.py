"""One attack: start the platform, let honest users work in peace, then under attack; count, judge, report."""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import httpx
import orjson

from attack.arguments import Command
from attack.honest import Honest, Hook, Waited, p95
from attack.hostile.villain import Target
from attack.memory import Peaks, limits
from attack.receivers import answer_at_once, receiving
from attack.report import Findings, Waits, table
from taskbell.capacity import arguments, ledger, service
from taskbell.capacity.briefing import Briefing, read_latencies
from taskbell.capacity.conservation import conserve
from taskbell.capacity.evidence import NotCounted
from taskbell.capacity.journal import Journal
from taskbell.capacity.leash import leashed
from taskbell.capacity.listeners import Crowd

_ROOT = Path(__file__).resolve().parents[1]
_CALM_SHARE = 0.25
_SETTLE_SECONDS = 120.0
_LOOK_SECONDS = 2.0
_PAGE = 100
"""Events of a page that weighs one request; a larger page weighs more."""
_STOP_SECONDS = 20.0
_CHART: Final = {"TASKBELL_RATE_LIMIT_PER_MINUTE": "100", "TASKBELL_REGISTRATIONS_ALLOWED": "20"}
"""Limits as in an installation; `taskbell up` has wider ones."""


class PlatformNotCounted(Exception):
    """The evidence could not be read; the message says why."""


def say(line: str) -> None:
    """Report the progress."""
    sys.stderr.write(f"attack: {line}\n")
    sys.stderr.flush()


@dataclass(frozen=True, slots=True)
class Phases:
    """Instants in Unix seconds: the calm begins and ends, the attack begins and ends."""

    began: float
    calm_ended: float
    attacked: float
    ended: float


def run(command: Command) -> int:
    """Run the attack, write the report, return the exit status.

    Raises:
        PlatformNotStarted: The platform did not start.
        PlatformNotPrepared: The API refused an account.
        PlatformNotCounted: The platform did not answer when all had ended.
    """
    with tempfile.TemporaryDirectory(prefix="taskbell-attack-") as name, ExitStack() as held:
        folder = Path(name)
        say("starting the platform")
        platform = held.enter_context(service.running(folder, settings=_CHART))
        prefix = secrets.token_hex(4)
        briefing = Briefing(
            folder=folder,
            run=prefix,
            api_url=platform.run["api_url"],
            gateway_url=f"{platform.run['gateway_url']}/ws",
            load_until=time.time() + command.seconds,
            plan=replace(arguments.parse([]).plan, teams=1),
            accounts=service.make_teams(platform.run["api_url"], run=prefix, teams=1),
        )
        try:
            findings = asyncio.run(_Attack(command, platform, briefing).findings())
        except* NotCounted as reasons:
            raise PlatformNotCounted(f"nothing could be counted: {reasons.exceptions[0]}") from reasons
    command.output.mkdir(parents=True, exist_ok=True)
    report = command.output / "report.json"
    report.write_bytes(orjson.dumps(findings.as_json(), option=orjson.OPT_INDENT_2) + b"\n")
    say(f"found\n{table(findings)}")
    complaints = findings.complaints()
    for complaint in complaints:
        say(complaint)
    say(f"{'the platform did not withstand' if complaints else 'the platform withstood'}; see {report}")
    return 1 if complaints else 0


class _Attack:
    """One run against a platform that is ready."""

    def __init__(self, command: Command, platform: service.PlatformUnderLoad, briefing: Briefing) -> None:
        self._command = command
        self._platform = platform
        self._briefing = briefing
        self._waited = Waited()
        self._hook = Hook(self._waited)
        self._peaks = Peaks()
        self._hostile: dict[str, Any] = {"outcomes": {}, "broken": {}}

    async def findings(self) -> Findings:
        """Carry the attack out and count."""
        is_over = asyncio.Event()
        async with asyncio.TaskGroup() as group, receiving(answer_at_once(self._hook.take)) as url:
            listening = group.create_task(Crowd(self._briefing).run(is_over), name="listeners")
            await self._add_webhook(url)
            feeds = await asyncio.to_thread(self._feeds)
            phases = await self._work()
            say("waiting until everything has arrived")
            database_url = self._platform.run["owner_database_url"]
            await asyncio.to_thread(self._settle, feeds, database_url)
            is_over.set()
            await listening
            gathered = await ledger.gather(self._briefing, feeds, database_url=database_url)
        events = [row.id for row in gathered.evidence.event_rows if row.type.startswith("task.")]
        return Findings(
            waits=self._waits(phases),
            errors=self._waited.errors,
            memory=self._peaks.bytes,
            limits=limits(),
            conservation=conserve(gathered.evidence),
            undelivered=sum(event not in self._hook.events for event in events),
            outcomes=self._hostile["outcomes"],
            broken=self._hostile["broken"],
        )

    def _feeds(self) -> ledger.Feeds:
        client = httpx.Client(base_url=self._briefing.api_url, timeout=30, trust_env=False)
        return ledger.Feeds(client, self._briefing.accounts, page=_PAGE)

    def _settle(self, feeds: ledger.Feeds, database_url: str) -> None:
        """Wait until everything has arrived, as slowly as the rate limit permits."""
        asyncio.run(
            ledger.wait_until_settled(
                self._briefing, feeds, database_url=database_url, within=_SETTLE_SECONDS, every=_LOOK_SECONDS
            )
        )

    async def _add_webhook(self, url: str) -> None:
        owner = self._briefing.accounts[0]
        async with self._client() as client:
            body = {"workspace_id": owner.workspace_id, "url": url}
            made = await client.post("/v1/webhooks", json=body, headers={"Authorization": f"Bearer {owner.token}"})
            made.raise_for_status()

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self._briefing.api_url, timeout=30, trust_env=False)

    async def _work(self) -> Phases:
        """Let the honest users work, and begin the attack after the calm part."""
        calm, attack = _CALM_SHARE * self._command.seconds, (1 - _CALM_SHARE) * self._command.seconds
        journal, titles, stopped = Journal(self._briefing.journal), itertools.count(), asyncio.Event()
        async with self._client() as client, asyncio.TaskGroup() as group:
            for account, body in zip(self._briefing.accounts, self._sign_ins(), strict=True):
                person = Honest(client, account, sign_in=body, journal=journal, waited=self._waited)
                group.create_task(person.work(titles, run=self._briefing.run, stopped=stopped))
            say(f"two honest users work in peace for {calm:.0f} s")
            began = time.time()
            await self._watch(until=began + calm)
            say(f"{len(self._command.kinds)} kinds of attack for {attack:.0f} s")
            calm_ended = time.time()
            async with self._attacking():
                attacked = time.time()
                await self._watch(until=attacked + attack)
                stopped.set()
        journal.close()
        return Phases(began, calm_ended, attacked, time.time())

    def _sign_ins(self) -> Sequence[dict[str, str]]:
        return [{"email": account.email, "password": service.PASSWORD} for account in self._briefing.accounts]

    async def _watch(self, *, until: float) -> None:
        while time.time() < until:
            await asyncio.to_thread(self._peaks.sample, self._platform.processes())
            await asyncio.sleep(0.5)

    @asynccontextmanager
    async def _attacking(self) -> AsyncIterator[None]:
        """Run the hostile process, from its first request on; keep what it was answered."""
        target, outcomes = (self._briefing.folder / name for name in ("target.json", "outcomes.json"))
        victims = tuple(body["email"] for body in self._sign_ins())
        about = Target(api_url=self._briefing.api_url, gateway_url=self._briefing.gateway_url, victims=victims)
        target.write_bytes(orjson.dumps(asdict(about)))
        command = [sys.executable, "-m", "attack.hostile", str(target), str(outcomes), *self._command.kinds]
        process = await asyncio.create_subprocess_exec(
            *leashed(command),
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None  # noqa: S101 -- a pipe was asked for
        await process.stdout.readline()  # it says that it begins, or has ended
        try:
            yield
        finally:
            if process.returncode is None:
                process.terminate()
            async with asyncio.timeout(_STOP_SECONDS):
                status = await process.wait()
        self._hostile = orjson.loads(outcomes.read_bytes()) if outcomes.exists() else _no_outcomes(status)

    def _waits(self, phases: Phases) -> list[Waits]:
        heard = self._briefing.heard_by_second

        def of(name: str, samples: Sequence[tuple[float, float]]) -> Waits:
            return Waits(
                name=name,
                calm_ms=p95(samples, since=phases.began, until=phases.calm_ended),
                attacked_ms=p95(samples, since=phases.attacked, until=phases.ended),
            )

        frames = [
            (at, value)
            for at, until in ((phases.began, phases.calm_ended), (phases.attacked, phases.ended))
            for value in read_latencies(heard, since=at, until=until)
        ]
        return [
            of("requests", self._waited.requests),
            of("sign-ins", self._waited.sign_ins),
            of("events", frames),
            of("webhooks", self._waited.deliveries),
        ]


def _no_outcomes(status: int) -> dict[str, Any]:
    return {"outcomes": {}, "broken": {"all": f"the hostile process ended with status {status}"}}
