"""Starts, probes and stops processes, as the policy decides."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterable
from typing import BinaryIO

from taskbell.kit.waiting import happens
from taskbell.local.embedded.process import ServerNotStarted, last_words
from taskbell.local.supervisor.component import Component, ComponentGaveUp, Phase, State
from taskbell.local.supervisor.policy import Life, RestartPolicy, stop_order

_PROBE_PAUSE = 0.05
_LONGEST_LOG = 50 * 2**20  # bytes; a longer one is renamed at the next start of its component


class Supervisor:
    """Keeps components running until `stop`. Lives in one event loop; nothing here blocks it.

    `on_change` is called, in the loop, whenever a state changed.
    """

    def __init__(
        self, *, policy: RestartPolicy | None = None, on_change: Callable[[State], None] = lambda _: None
    ) -> None:
        """Start with no components."""
        self.states: dict[str, State] = {}
        self._policy = policy or RestartPolicy()
        self._on_change = on_change
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._ready: dict[str, asyncio.Event] = {}
        self._asked: dict[str, asyncio.Event] = {}
        self._killing = asyncio.Event()

    async def start(self, components: Iterable[Component]) -> None:
        """Start components side by side; return when all were ready once.

        Raises `ComponentGaveUp` as soon as any component of this supervisor cannot be kept running.
        """
        started = list(components)
        for component in started:
            self.states[component.name] = State(component=component)
            self._ready[component.name] = asyncio.Event()
            self._asked[component.name] = asyncio.Event()
            keeper = asyncio.create_task(self._keep(self.states[component.name]), name=f"keep {component.name}")
            self._keepers[component.name] = keeper
        ready = asyncio.create_task(self._all_ready([component.name for component in started]))
        try:
            await asyncio.wait([ready, *self._keepers.values()], return_when=asyncio.FIRST_COMPLETED)
            self._raise_failures()
            await ready
        finally:
            ready.cancel()

    async def wait(self) -> None:
        """Wait until a component cannot be kept running, and raise its `ComponentGaveUp`."""
        await asyncio.wait(self._keepers.values(), return_when=asyncio.FIRST_COMPLETED)
        self._raise_failures()

    async def stop(self) -> None:
        """Stop everything, stage after stage. Returns when no process is left; never raises."""
        for stage in stop_order(state.component for state in self.states.values()):
            names = [component.name for component in stage]
            keepers = [self._keepers[name] for name in names]
            for name in names:
                self._asked[name].set()
                self._ask_to_stop(self.states[name])
            await asyncio.gather(*keepers, return_exceptions=True)

    def kill(self) -> None:
        """Make `stop` kill everything that still runs instead of waiting."""
        self._killing.set()

    async def _all_ready(self, names: list[str]) -> None:
        for name in names:
            await self._ready[name].wait()

    def _raise_failures(self) -> None:
        for keeper in self._keepers.values():
            if keeper.done() and not keeper.cancelled() and (failure := keeper.exception()):
                raise failure

    def _change(self, state: State, phase: Phase, *, pid: int | None = None, reason: str | None = None) -> None:
        state.phase, state.pid = phase, pid
        if reason is not None:
            state.reason = reason
        self._on_change(state)

    def _ask_to_stop(self, state: State) -> None:
        if state.pid is not None:
            self._change(state, Phase.STOPPING, pid=state.pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(state.pid, state.component.stop_signal)

    async def _keep(self, state: State) -> None:
        """Run a component again and again until it is asked to stop. Raises `ComponentGaveUp`."""
        asked = self._asked[state.component.name]
        lives: list[Life] = []
        repaired = False
        while not asked.is_set():
            lives = [*lives[-64:], await self._live(state)]
            if asked.is_set():
                break
            pause = self._policy.pause(lives)
            if pause is None and not repaired and await self._repair(state):
                repaired, lives, pause = True, [], 0.0
            if pause is None:
                self._change(state, Phase.FAILED)
                where = f"(log: {state.component.log})"
                raise ComponentGaveUp(f"{state.component.name} cannot be kept running: {state.reason} {where}")
            state.restarts += 1
            self._change(state, Phase.RESTARTING)
            await happens(asked, within=pause)
        self._change(state, Phase.STOPPED)

    async def _repair(self, state: State) -> bool:
        """Try to repair a component that keeps failing; tell whether that worked."""
        if state.component.repair is None:
            return False
        try:
            done = await asyncio.to_thread(state.component.repair)
        except OSError as refused:
            state.reason += f"; not repaired: {refused}"
            return False
        if done:
            state.reason += f"; {done}"
        return bool(done)

    async def _live(self, state: State) -> Life:
        """Run the process once, from preparation to end."""
        component = state.component
        self._change(state, Phase.STARTING)
        try:
            if component.prepare is not None:
                await asyncio.to_thread(component.prepare)
            process = await self._spawn(state)
        except (OSError, ServerNotStarted) as refused:
            state.reason = str(refused)
            return Life(ready_for=None, status=1)
        self._change(state, Phase.STARTING, pid=process.pid)
        if self._asked[component.name].is_set():  # asked while it was being started
            self._ask_to_stop(state)
        probing = asyncio.create_task(self._await_ready(state, process), name=f"probe {component.name}")
        try:
            await self._await_end(component, process)
        finally:
            probed = probing.done()
            probing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await probing
        status = process.returncode or 0
        ready_at = probing.result() if probed else None
        if not probed or ready_at is not None:  # else the probe has set the reason
            state.reason = _reason(state, status)
        ready_for = None if ready_at is None else asyncio.get_running_loop().time() - ready_at
        return Life(ready_for=ready_for, status=status)

    async def _spawn(self, state: State) -> asyncio.subprocess.Process:
        component = state.component
        with _opened_log(component) as output:
            state.log_start = output.tell()
            return await asyncio.create_subprocess_exec(
                *component.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(component.env),
                pass_fds=component.fds,
                start_new_session=True,  # Ctrl-C in the terminal reaches the supervisor alone
            )

    async def _await_end(self, component: Component, process: asyncio.subprocess.Process) -> None:
        """Wait for the end of the process; kill it if it does not end in time after the stop signal."""
        ended = asyncio.create_task(process.wait())
        asked = asyncio.create_task(self._asked[component.name].wait())
        hurried = asyncio.create_task(self._killing.wait())
        await asyncio.wait([ended, asked], return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait([ended, hurried], timeout=component.stop_within, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        hurried.cancel()
        if not ended.done():
            _kill_group(process)
        await ended

    async def _await_ready(self, state: State, process: asyncio.subprocess.Process) -> float | None:
        """Probe until the process is ready; return that time. Kill it and set the reason if it never is."""
        component, loop = state.component, asyncio.get_running_loop()
        deadline = loop.time() + component.ready_within
        try:
            while component.is_ready is not None and not await component.is_ready():
                if loop.time() > deadline:
                    raise ServerNotStarted(  # noqa: TRY301 -- handled like a failed probe
                        f"not ready within {component.ready_within:g} s"
                    )
                await asyncio.sleep(_PROBE_PAUSE)
        except ServerNotStarted as hopeless:
            state.reason = str(hopeless)
            _kill_group(process)
            return None
        if not self._asked[component.name].is_set() and process.returncode is None:
            self._change(state, Phase.READY, pid=process.pid)
            self._ready[component.name].set()
        return loop.time()


def _kill_group(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _reason(state: State, status: int) -> str:
    if status < 0:
        return f"ended by {signal.Signals(-status).name}"
    return f"exit status {status}, last words: {last_words(state.component.log, since=state.log_start)}"


def _opened_log(component: Component) -> BinaryIO:
    component.log.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        if component.log.stat().st_size > _LONGEST_LOG:
            component.log.replace(component.log.with_name(f"{component.log.name}.1"))
    return component.log.open("ab")
