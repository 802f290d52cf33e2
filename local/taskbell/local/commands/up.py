"""`taskbell up`: the whole platform on this machine, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping

from rich.console import Console

from taskbell.contract.nats_users import ADMINISTRATOR
from taskbell.kit.settings import load
from taskbell.local import credentials, db
from taskbell.local.components import Wiring, nats_users
from taskbell.local.data_dir import DataDir, StartRefused
from taskbell.local.demo import DemoAccountRefused, ensure_account
from taskbell.local.embedded.nats import NatsServer
from taskbell.local.embedded.postgres import PostgresReplica, PostgresServer
from taskbell.local.embedded.process import ServerNotStarted
from taskbell.local.jobs import Job, JobFailed, always, every
from taskbell.local.push import PushSimulator, listen_where_before
from taskbell.local.run_file import Demo, RunFile, Running
from taskbell.local.server_sockets import listen, listen_for_each
from taskbell.local.settings import LocalSettings, known_names, unknown_variables
from taskbell.local.supervisor.component import ComponentGaveUp, Phase, State
from taskbell.local.supervisor.status import Display, display
from taskbell.local.supervisor.supervisor import Supervisor
from taskbell.store import roles

_MAINTENANCE_INTERVAL = 3600.0  # seconds
_STALE_INTERVAL = 3600.0
_DIGEST_INTERVAL = 300.0
_WRITE_PAUSE = 5.0
"""Seconds until `run.json` is written again, when it could not be."""
_SWEEP_PAUSE = 2.0  # seconds after a sweep that failed, such as while PostgreSQL starts again
_RELAYS = 2  # one is active, one is on standby
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def up() -> None:
    """Run the whole platform on this machine, until Ctrl-C.

    PostgreSQL with a replica, NATS, API, relays, gateway, delivery, reminders.
    Settings are environment variables, above all:

    TASKBELL_DATA_DIR: data, logs, secrets, run.json (.taskbell)

    TASKBELL_API_PORT: 8000; 0 takes a free port

    TASKBELL_GATEWAY_PORT: 8001; 0 takes a free port

    TASKBELL_API_WORKERS: processes of the API (2)

    TASKBELL_GATEWAY_WORKERS, TASKBELL_DELIVERY_WORKERS: the same of these (1)

    TASKBELL_PUSH_SIMULATOR: receive push alerts on this machine (true)
    """
    try:
        settings = _settings()
        data = DataDir(settings.data_dir)
        with contextlib.ExitStack() as held:
            held.enter_context(data.locked())
            apis = listen_for_each(settings.api_workers, settings.api_port, setting="TASKBELL_API_PORT")
            for socket in apis:
                held.enter_context(socket)
            gateways = listen_for_each(settings.gateway_workers, settings.gateway_port, setting="TASKBELL_GATEWAY_PORT")
            for socket in gateways:
                held.enter_context(socket)
            relays = [held.enter_context(listen(0, setting="")) for _ in range(_RELAYS)]
            deliveries = [held.enter_context(listen(0, setting="")) for _ in range(settings.delivery_workers)]
            push = _push_simulator(settings, data, held) if settings.push_simulator else None
            secret = credentials.load_or_generate(data)
            postgres = PostgresServer(data.postgres, password=secret.superuser_password)
            postgres.prepare()
            wiring = Wiring(
                data=data,
                credentials=secret,
                environment=os.environ,
                api_sockets=apis,
                gateway_sockets=gateways,
                relay_sockets=relays,
                delivery_sockets=deliveries,
                push=push,
                postgres=postgres,
                replica=PostgresReplica(data.replica, primary=postgres),
                nats=NatsServer(data.nats, accounts={ADMINISTRATOR: secret.nats_password}, users=nats_users(secret)),
            )
            asyncio.run(_Session(wiring).run())
    except StartRefused as refused:
        _refuse(str(refused), status=refused.status)
    except (ComponentGaveUp, JobFailed, ServerNotStarted) as failed:
        _refuse(str(failed), status=1)


def _push_simulator(settings: LocalSettings, data: DataDir, held: contextlib.ExitStack) -> PushSimulator:
    server = held.enter_context(listen_where_before(data.pushsim))
    sandbox = held.enter_context(listen(0, setting=""))
    return PushSimulator(data.pushsim, server=server, sandbox=sandbox, keeps=settings.push_simulator_keeps)


def _settings() -> LocalSettings:
    settings = load(LocalSettings)
    if unknown := unknown_variables(os.environ, known=known_names()):
        raise StartRefused("; ".join(unknown), status=2)
    if settings.api_port == settings.gateway_port != 0:
        line = f"TASKBELL_API_PORT and TASKBELL_GATEWAY_PORT are both {settings.api_port}: each needs a port of its own"
        raise StartRefused(line, status=2)
    return settings


def _refuse(line: str, *, status: int) -> None:
    sys.stderr.write(f"taskbell: {line}\n")
    raise SystemExit(status)


class _Session:
    """One run of the platform, from start to stop."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._is_up = False
        self._rewriting: asyncio.TimerHandle | None = None
        self._tree = Supervisor(on_change=self._changed)
        self._shown: Display

    async def run(self) -> None:
        """Start everything, stay until a signal, stop everything.

        Raises:
            ComponentGaveUp: A part could not be kept running.
            JobFailed: The migrations failed.
        """
        asked = asyncio.Event()
        with display(Console()) as self._shown:
            self._listen_for_signals(asked)
            self._wiring.data.run.unlink(missing_ok=True)  # of a platform that was killed
            working = asyncio.create_task(self._work())
            waiting = asyncio.create_task(asked.wait())
            try:
                await asyncio.wait([working, waiting], return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._is_up = False
                waiting.cancel()
                working.cancel()
                outcome = (await asyncio.gather(working, return_exceptions=True))[0]
                await self._tree.stop()
                self._wiring.data.run.unlink(missing_ok=True)
        if isinstance(outcome, Exception):
            raise outcome

    def _listen_for_signals(self, asked: asyncio.Event) -> None:
        def stop() -> None:
            if asked.is_set():
                self._tree.kill()
                return
            self._shown.say("stopping; once more to kill")
            asked.set()

        for number in _STOP_SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, stop)

    async def _work(self) -> None:
        wiring = self._wiring
        await self._tree.start(wiring.stores())
        superuser_url = wiring.postgres.url()
        await db.ensure_roles(superuser_url, wiring.credentials.role_passwords)
        await db.ensure_database(superuser_url)
        owner = wiring.owner_environment()
        await self._job("migrations", "taskbell.local", "migrate", env=owner).run()
        await self._tree.start(wiring.replicas())
        await self._tree.start(wiring.services())
        await self._welcome()
        say, sweeper = self._shown.say, "taskbell.sweeper"
        reminding = wiring.sweeper_environment()
        due = self._job("sweeper", sweeper, "--kind", "due", "--until", "+60s", env=reminding)
        overdue = self._job("sweeper-overdue", sweeper, "--kind", "overdue", "--until", "+60s", env=reminding)
        stale = self._job("sweeper-stale", sweeper, "--kind", "stale", env=reminding)
        digest = self._job("sweeper-digest", sweeper, "--kind", "digest", env=reminding)
        maintenance = self._job("maintenance", sweeper, "--kind", "maintenance", env=owner)
        schedule = [
            asyncio.create_task(always(due, pause=_SWEEP_PAUSE, tell=say), name="sweeper"),
            asyncio.create_task(always(overdue, pause=_SWEEP_PAUSE, tell=say), name="sweeper-overdue"),
            asyncio.create_task(every(_STALE_INTERVAL, stale, tell=say), name="sweeper-stale"),
            asyncio.create_task(every(_DIGEST_INTERVAL, digest, tell=say), name="sweeper-digest"),
            asyncio.create_task(every(_MAINTENANCE_INTERVAL, maintenance, tell=say), name="maintenance"),
        ]
        try:
            await self._tree.wait()
        finally:
            for task in schedule:
                task.cancel()
            await asyncio.gather(*schedule, return_exceptions=True)

    def _job(self, name: str, *module: str, env: Mapping[str, str]) -> Job:
        return Job(name=name, module=module, env=env, logs=self._wiring.data.logs)

    async def _welcome(self) -> None:
        wiring, secret = self._wiring, self._wiring.credentials
        hint = f"password in {wiring.data.run}"
        try:
            email, password = secret.demo_email, secret.demo_password
            if await ensure_account(wiring.api_url, email=email, password=password):
                hint = f"password {password} (shown once; also in {wiring.data.run})"
        except DemoAccountRefused as refused:
            self._shown.say(str(refused))
        self._is_up = True
        self._write_run_file()
        self._shown.say(f"API      {wiring.api_url}  (documentation at /docs)")
        self._shown.say(f"gateway  {wiring.gateway_url}/ws")
        self._shown.say(f"demo     {secret.demo_email}, {hint}")
        if wiring.push is not None:
            self._shown.say("push     arrives here: taskbell devices add --demo, then taskbell devices watch")
        self._shown.say("ready; Ctrl-C stops everything")

    def _changed(self, state: State) -> None:
        self._shown.show(self._tree.states, state)
        if self._is_up and state.phase in {Phase.STARTING, Phase.READY, Phase.RESTARTING}:
            self._write_run_file()

    def _write_run_file(self) -> None:
        """Write the file; on a full disk say so once and try until it succeeds: the platform runs without it."""
        if self._rewriting is not None:
            self._rewriting.cancel()
        try:
            self._run_file().write(self._wiring.data.run)
        except OSError as refused:
            if self._rewriting is None:
                self._shown.say(f"{self._wiring.data.run} could not be written ({refused.strerror}); trying again")
            self._rewriting = asyncio.get_running_loop().call_later(_WRITE_PAUSE, self._rewrite_run_file)
        else:
            self._rewriting = None

    def _rewrite_run_file(self) -> None:
        if self._is_up:
            self._write_run_file()

    def _run_file(self) -> RunFile:
        wiring, secret = self._wiring, self._wiring.credentials
        return RunFile(
            pid=os.getpid(),
            api_url=wiring.api_url,
            gateway_url=wiring.gateway_url,
            nats_url=wiring.nats_url,
            database_url=wiring.database_url(roles.API),
            replica_urls=[wiring.database_url(roles.API, server=wiring.replica)],
            owner_database_url=wiring.database_url(roles.OWNER),
            demo=Demo(email=secret.demo_email, password=secret.demo_password),
            components={
                name: Running(pid=state.pid, port=state.component.port, log=str(state.component.log))
                for name, state in self._tree.states.items()
            },
        )
