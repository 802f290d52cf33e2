"""One run of a million: its stages, each of which goes on where an earlier start ended."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

import httpx

from taskbell.capacity import service
from taskbell.capacity.interrupts import Interrupts
from taskbell.capacity.million import judging, load, report
from taskbell.capacity.million.arguments import Command
from taskbell.capacity.million.counters import Counters
from taskbell.capacity.million.creator import ANSWERS, Creator
from taskbell.capacity.million.ears import ROWS, Ears
from taskbell.capacity.million.judging import ANSWERED, READ, ROW, TRIED
from taskbell.capacity.million.plan import KILLS, Plan, storm_at
from taskbell.capacity.million.progress import Progress, clock
from taskbell.capacity.million.public import PublicReader
from taskbell.capacity.million.store import State, Store
from taskbell.capacity.processor import GENERATOR, LISTENERS, Sampler

CREATE, REPAIR, ARRIVE, FEEDS, INBOXES = "create", "rows", "arrive", "feeds", "inboxes"
STAGES: Final = (CREATE, REPAIR, ARRIVE, FEEDS, INBOXES)
_LOOK_SECONDS: Final = 0.5
_SAMPLE_SECONDS: Final = 5.0
_QUIET_SECONDS: Final = 30.0
_REPAIRS: Final = 5


class RunRefused(Exception):
    """What is in the folder does not fit what was asked."""


class Interrupted(Exception):
    """Ctrl-C: the run goes on when it is started again."""


def say(line: str) -> None:
    """Report the progress."""
    sys.stderr.write(f"million: {line}\n")
    sys.stderr.flush()


def run(command: Command, interrupts: Interrupts) -> int:
    """Begin a run or go on with it; write the report and return the exit status.

    Raises:
        RunRefused: The folder holds another run.
        FolderInUse: Another run is under way there.
        PlatformNotStarted: The platform did not start.
        PlatformNotPrepared: The API refused an account.
        NotRead: The API did not answer when everything was read back.
        Interrupted: Ctrl-C.
    """
    store = Store(command.output / "run")
    with load.holding(store), ExitStack() as held:
        state = _state(command, store)
        state.starts += 1
        store.write(state)
        say(f"starting the platform (start {state.starts})")
        platform = held.enter_context(load.platform(store))
        _prepare(state, store, platform)
        million = Million(state, store, platform, interrupts, held=held)
        with interrupts.ending_the_load():
            asyncio.run(million.stages())
        found = million.report()
    status = report.write(found, command.output)
    say(str(found["summary"]))
    say(f"{found['verdict']}; see {command.output / 'report.html'}")
    if status == 0:
        shutil.rmtree(store.folder)  # some gigabytes
    return status


def _state(command: Command, store: Store) -> State:
    if store.exists() and command.fresh:
        for path in store.folder.iterdir():
            if path.name != "lock":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    if not store.exists():
        plan = Plan(run=secrets.token_hex(4), tasks=command.tasks, teams=command.teams, connections=command.connections)
        return State(plan=plan)
    state = store.read()
    if [*state.done] == [*STAGES]:
        raise RunRefused(f"the run in {store.folder} has ended without passing; --fresh begins another")
    if state.plan.tasks != command.tasks:
        raise RunRefused(
            f"the run in {store.folder} makes {state.plan.tasks} tasks: give --tasks {state.plan.tasks}, or --fresh"
        )
    return state


def _prepare(state: State, store: Store, platform: service.PlatformUnderLoad) -> None:
    """Make the people, or sign them in again."""
    api_url, teams = platform.run["api_url"], state.plan.teams
    if state.owners:
        people = load.sign_in(api_url, [*state.owners, *state.mates])
    else:
        people = service.make_teams(api_url, run=state.plan.run, teams=teams)
    state.owners, state.mates = people[:teams], people[teams:]
    state.gateway_url = f"{platform.run['gateway_url']}/ws"
    store.write(state)


class Million:
    """The stages of a run on a platform that is up."""

    def __init__(
        self,
        state: State,
        store: Store,
        platform: service.PlatformUnderLoad,
        interrupts: Interrupts,
        *,
        held: ExitStack,
    ) -> None:
        """Open the counts, and start the listeners."""
        self._state, self._store, self._platform, self._interrupts = state, store, platform, interrupts
        self._plan = state.plan
        self._answers = Counters(store.answers, [ANSWERS], length=self._plan.tasks)
        self._read = Counters(store.read_counts, READ, length=self._plan.tasks)
        self._ears = Ears(store.ears, self._plan)
        self._listeners = held.enter_context(load.listeners(store))
        for opened in (self._answers, self._read, self._ears):
            held.callback(opened.close)
        self._creator = Creator(
            self._plan,
            self._answers,
            api_url=platform.run["api_url"],
            owners=state.owners,
            storm=lambda: state.storm or 0.0,
        )

    async def stages(self) -> None:
        """Go through the stages that are not done."""
        await self._until(lambda: all(ear.is_open for ear in self._ears.all()), "the listeners did not come up")
        say(f"{self._ears.listeners} listeners listen; Ctrl-C stops, and the same command goes on")
        async with httpx.AsyncClient(base_url=self._platform.run["api_url"], timeout=60, trust_env=False) as client:
            for name, stage in (
                (CREATE, self._create),
                (REPAIR, self._repair),
                (ARRIVE, self._arrive),
                (FEEDS, self._feeds),
                (INBOXES, self._inboxes),
            ):
                if name in self._state.done:
                    continue
                began = time.monotonic()
                try:
                    await stage(client)
                finally:
                    spent = self._state.seconds.get(name, 0.0) + time.monotonic() - began
                    self._state.seconds[name] = round(spent, 1)
                    self._store.write(self._state)
                self._state.done.append(name)
                self._store.write(self._state)

    def report(self) -> report.Report:
        """Judge, and describe everything."""
        return report.document(
            self._state,
            answers=self._answers.row(ANSWERS),
            read={name: self._read.row(name) for name in READ},
            heard={name: self._ears.counters.row(name) for name in ROWS},
            ears=self._ears.all(),
        )

    async def _create(self, _: httpx.AsyncClient) -> None:
        """Create all tasks: first those without reminders; then it is known how long the others take."""
        sampler = Sampler(lambda: {**self._platform.processes(), LISTENERS: self._listeners.pid})
        sampler.sample()
        own, begun_with, began = time.process_time(), self._created(), time.monotonic()
        progress = Progress(CREATE, of=self._plan.tasks, begun_with=begun_with)
        try:
            await self._drive(self._plan.first_reminded, progress, sampler)
            if self._state.storm is None:
                speed = (self._created() - begun_with) / (time.monotonic() - began)
                self._state.storm = storm_at(time.time(), left=self._plan.reminded, per_second=speed or 100.0)
                self._store.write(self._state)
            await self._drive(self._plan.tasks, progress, sampler)
        finally:
            sampler.sample()
            self._note_processor(sampler, own=time.process_time() - own, created=self._created() - begun_with)
            self._note_failures()
        progress.end(self._created())

    async def _drive(self, stop: int, progress: Progress, sampler: Sampler) -> None:
        """Create the tasks below `stop`, and watch over it."""
        creating = asyncio.create_task(self._creator.create(self._creator.untried(stop)))
        sampled = time.monotonic()
        while not creating.done():
            await asyncio.wait([creating], timeout=_LOOK_SECONDS)
            created = self._created()
            progress.show(created)
            self._kill_what_is_due(created)
            if time.monotonic() - sampled >= _SAMPLE_SECONDS:
                sampled = time.monotonic()
                sampler.sample()
            if self._interrupts.is_asked or self._platform.has_ended() or self._listeners.poll() is not None:
                self._creator.stopping = True
        await creating
        self._check()

    def _kill_what_is_due(self, created: int) -> None:
        for part, share in KILLS.items():
            if (
                part not in self._state.killed
                and created >= share * self._plan.tasks
                and load.kill(self._platform, part)
            ):
                self._state.killed.append(part)
                self._store.write(self._state)
                say(f"killed the {part} at {created:,} tasks")

    async def _repair(self, client: httpx.AsyncClient) -> None:
        """Read all lists, and create what got no answer and has no row."""
        self._read.clear(ROW)
        progress = Progress(REPAIR, of=self._plan.tasks)
        reader = self._reader(client, progress)
        await reader.rows()
        for _ in range(_REPAIRS):
            rows, answers = self._read.row(ROW), self._answers.row(ANSWERS)
            for number, state in enumerate(answers):
                if state == TRIED and rows[number]:
                    self._answers.put(ANSWERS, number, ANSWERED)  # it was created; its answer was lost
            missing = [n for n, state in enumerate(answers) if state != ANSWERED and not rows[n]]
            if not missing:
                break
            say(f"creating {len(missing):,} tasks again: no answer came, and they have no row")
            await self._creator.create(iter(missing))
            await reader.rows()
        progress.end(sum(self._read.row(ROW)))
        self._note_failures()

    async def _arrive(self, _: httpx.AsyncClient) -> None:
        """Wait until the listeners have everything, or nothing has come for a while after the reminders were due."""
        left = (self._state.storm or 0.0) - time.time()
        if left > 0:
            say(f"{self._plan.reminded:,} reminders fall due together in {clock(left)}")
        at_first = missing = self._missing()
        progress = Progress(ARRIVE, of=at_first)
        changed = time.monotonic()
        while missing and time.monotonic() - changed < _QUIET_SECONDS:
            await asyncio.sleep(_LOOK_SECONDS)
            self._check()
            if (now := self._missing()) != missing or time.time() < (self._state.storm or 0.0):
                missing, changed = now, time.monotonic()
            progress.show(at_first - missing)
        progress.end(at_first - missing)

    async def _feeds(self, client: httpx.AsyncClient) -> None:
        await self._count_in("feed ", FEEDS, client, of=3 * self._plan.tasks + 2 * self._plan.reminded)

    async def _inboxes(self, client: httpx.AsyncClient) -> None:
        await self._count_in("inbox ", INBOXES, client, of=self._plan.tasks + 2 * self._plan.reminded)

    async def _count_in(self, prefix: str, stage: str, client: httpx.AsyncClient, *, of: int) -> None:
        """Read all feeds or all inboxes from their beginning."""
        for row in READ:
            if row.startswith(prefix):
                self._read.clear(row)
        progress = Progress(stage, of=of)
        reader = self._reader(client, progress)
        await (reader.feeds() if stage == FEEDS else reader.inboxes())
        self._check()
        progress.end(of)

    def _reader(self, client: httpx.AsyncClient, progress: Progress) -> PublicReader:
        def tell(done: int) -> None:
            progress.show(done)
            self._check()

        state = self._state
        return PublicReader(client, self._plan, self._read, owners=state.owners, mates=state.mates, tell=tell)

    def _created(self) -> int:
        return self._answers.row(ANSWERS).count(ANSWERED)

    def _missing(self) -> int:
        return judging.missing_at_listeners(self._plan, {name: self._ears.counters.row(name) for name in ROWS})

    def _check(self) -> None:
        """Stop where there is no going on. Raises Interrupted, PlatformNotStarted."""
        if self._interrupts.is_asked:
            raise Interrupted
        if self._platform.has_ended():
            raise service.PlatformNotStarted(f"the platform ended: {self._platform.last_words()}")
        if self._listeners.poll() is not None:
            raise service.PlatformNotStarted(f"the listeners ended: see {self._store.folder / 'listeners.log'}")

    async def _until(self, condition: Callable[[], bool], otherwise: str, *, within: float = 60.0) -> None:
        deadline = time.monotonic() + within
        while not condition():
            self._check()
            if time.monotonic() > deadline:
                raise service.PlatformNotStarted(otherwise)
            await asyncio.sleep(0.1)

    def _note_processor(self, sampler: Sampler, *, own: float, created: int) -> None:
        first, last = sampler.samples[0].parts, sampler.samples[-1].parts
        used = {part: seconds - first.get(part, 0.0) for part, seconds in last.items()} | {GENERATOR: own}
        for part, seconds in used.items():
            self._state.cpu_seconds[part] = round(self._state.cpu_seconds.get(part, 0.0) + seconds, 3)
        self._state.cpu_creations += created

    def _note_failures(self) -> None:
        for reason, number in self._creator.failures.items():
            self._state.failures[reason] = self._state.failures.get(reason, 0) + number
        self._creator.failures.clear()
