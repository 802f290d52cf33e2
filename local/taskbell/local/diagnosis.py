"""Checks an installation for faults, and changes nothing."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import psutil

from taskbell.contract.subjects import STREAM
from taskbell.kit import nats_bus
from taskbell.kit.postgres.statements import load
from taskbell.local import credentials, db, probes, run_file
from taskbell.local.data_dir import DataDir, StartRefused
from taskbell.local.embedded import nats, postgres
from taskbell.local.embedded.process import ServerNotStarted, ordinary_identity, port_is_free
from taskbell.local.run_file import RunFile
from taskbell.local.settings import LocalSettings, known_names, unknown_variables
from taskbell.relay.lateness.repository import watching
from taskbell.store import revisions
from taskbell.store.replica_lag import measure_lag

_LATE_SECONDS = 60.0
_LAG_SECONDS = 2.0
_REVISION = load(__package__, "schema_revision")
_IS_STREAMING = load(__package__, "is_streaming")
_COUNTED_AT_MOST = 10_000


class Severity(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of one check, and what to do about it."""

    name: str
    severity: Severity
    detail: str
    remedy: str = ""


def _ok(name: str, detail: str) -> Finding:
    return Finding(name=name, severity=Severity.OK, detail=detail)


def _warn(name: str, detail: str, remedy: str) -> Finding:
    return Finding(name=name, severity=Severity.WARN, detail=detail, remedy=remedy)


def _fail(name: str, detail: str, remedy: str) -> Finding:
    return Finding(name=name, severity=Severity.FAIL, detail=detail, remedy=remedy)


async def diagnose(settings: LocalSettings, environment: Mapping[str, str]) -> list[Finding]:
    """Run all checks; takes a few seconds at most."""
    data = DataDir(settings.data_dir)
    holder = data.holder()
    findings = [
        _python(),
        _program("PostgreSQL", lambda: [str(postgres.program("postgres")), "--version"]),
        _program("NATS", lambda: [str(nats.program()), "--version"]),
        _user(data),
        _settings(environment),
        *_entered(data),
    ]
    if holder is None:
        findings += [
            _port(settings.api_port, "TASKBELL_API_PORT"),
            _port(settings.gateway_port, "TASKBELL_GATEWAY_PORT"),
        ]
        was_killed = run_file.read(data.run) is not None
        stale = " (an earlier run was killed; the next start clears that)" if was_killed else ""
        findings.append(_warn("running", f"no `taskbell up` runs on {data.root}{stale}", "start it with: taskbell up"))
        return findings
    running = run_file.read(data.run)
    if running is None:
        line = f"process {holder} holds {data.root} and is not ready yet"
        return [*findings, _warn("running", line, f"wait, or look into {data.logs}")]
    findings.append(_ok("running", f"`taskbell up` is process {holder}"))
    return [*findings, *await _platform(running)]


def _python() -> Finding:
    version = ".".join(str(number) for number in sys.version_info[:3])
    return _ok("Python", f"{version} ({sys.executable})")


def _program(name: str, command: Callable[[], list[str]]) -> Finding:
    remedy = "install again: pip install 'taskbell[local]'"
    try:
        done = subprocess.run(command(), capture_output=True, text=True, timeout=10, check=True)  # noqa: S603 -- our own
    except ServerNotStarted as missing:
        return _fail(name, str(missing), remedy)
    except (OSError, subprocess.SubprocessError) as broken:
        return _fail(name, f"does not run here: {broken}", remedy)
    return _ok(name, done.stdout.strip())


def _user(data: DataDir) -> Finding:
    try:
        identity = ordinary_identity(data.postgres)
    except ServerNotStarted as nobody:
        return _fail("user", str(nobody), "run as an ordinary user, or add a user named postgres")
    except PermissionError:  # the data directory has a finding of its own
        identity = None
    if identity is None:
        return _ok("user", f"user id {os.getuid()}")
    return _ok("user", f"root; PostgreSQL runs as user id {identity.uid}")


def _settings(environment: Mapping[str, str]) -> Finding:
    if unknown := unknown_variables(environment, known=known_names()):
        return _fail("settings", "; ".join(unknown), "correct or unset them")
    return _ok("settings", "every TASKBELL_ variable is known")


def _entered(data: DataDir) -> list[Finding]:
    try:
        return _data(data)
    except PermissionError as denied:
        line = f"{denied.filename} cannot be entered: it belongs to another user"
        return [_fail("data directory", line, "set TASKBELL_DATA_DIR to another folder, or run as its owner")]


def _data(data: DataDir) -> list[Finding]:
    parent = next(folder for folder in (data.root, *data.root.parents) if folder.exists())
    if not os.access(parent, os.W_OK | os.X_OK):
        return [_fail("data directory", f"{parent} cannot be written", "set TASKBELL_DATA_DIR to another folder")]
    free = shutil.disk_usage(parent).free
    findings = []
    if free < 2**30:
        findings.append(_warn("disk", f"{free // 2**20} MiB free", "make room: PostgreSQL stops when the disk is full"))
    if not data.root.exists():
        return [*findings, _ok("data directory", f"{data.root} will be made at the first start")]
    remedy = "restore the folder, or start with another TASKBELL_DATA_DIR"
    if data.postgres.exists():
        try:
            postgres.check_folder(data.postgres)
        except ServerNotStarted as damaged:
            return [*findings, _fail("data directory", str(damaged), remedy)]
    if data.postgres.exists() or data.secrets.exists():
        try:
            credentials.load(data)
        except StartRefused as damaged:
            return [*findings, _fail("data directory", str(damaged), remedy)]
    return [*findings, _ok("data directory", str(data.root))]


def _port(port: int, setting: str) -> Finding:
    if port == 0 or port_is_free(port):
        return _ok(setting, f"port {port} is free" if port else "any free port")
    return _fail(setting, f"port {port} is in use", f"stop what listens there, or set {setting} to another port")


async def _platform(running: RunFile) -> list[Finding]:
    database, replica, reminders, stream, parts = await asyncio.gather(
        _tried("database", _database(running.owner_database_url), "see logs/postgres.log"),
        _tried("replica", _replica(running), "see logs/postgres-replica.log"),
        _tried("reminders", _reminders(running.owner_database_url), "see logs/postgres.log"),
        _tried("NATS", _stream(running.nats_url), "see logs/nats.log and logs/relay.log"),
        asyncio.gather(*(_part(name, running) for name in running.components)),
    )
    return [*parts, database, replica, reminders, stream]


async def _tried(name: str, look: Awaitable[Finding], remedy: str) -> Finding:
    try:
        async with asyncio.timeout(5):
            return await look
    except Exception as failed:  # noqa: BLE001 -- whatever a part raises is the finding
        return _fail(name, f"{type(failed).__name__}: {failed}".strip(": "), remedy)


async def _part(name: str, running: RunFile) -> Finding:
    part = running.components[name]
    if part.pid is None or not psutil.pid_exists(part.pid):
        return _fail(name, "is not running at this moment", f"see {part.log}")
    if part.port is None or name.startswith(("postgres", "nats", "pushsim")):  # they speak another protocol
        return _ok(name, f"process {part.pid}")
    status = await probes.http_status(part.port)
    if status != 200:
        return _fail(name, f"process {part.pid} is not ready: /readyz answers {status or 'nothing'}", f"see {part.log}")
    return _ok(name, f"process {part.pid} is ready")


async def _database(url: str) -> Finding:
    async with db.connected(url, patience=4) as connection:
        revision = await _REVISION.value(connection)
    if revision != revisions.head():
        return _fail(
            "database", f"schema at {revision}, this code needs {revisions.head()}", "start `taskbell up` again"
        )
    return _ok("database", f"reachable, schema at {revision}")


async def _replica(running: RunFile) -> Finding:
    async with db.connected(running.database_url, patience=4) as primary:
        slowest = 0.0
        for url in running.replica_urls:
            async with db.connected(url, patience=4) as replica:
                if not await _IS_STREAMING.value(replica):
                    return _fail("replica", "answers but does not follow the primary", "see logs/postgres-replica.log")
                lag = await measure_lag(primary, replica, most=_LAG_SECONDS)
            if lag.seconds is None:
                line = f"is {lag.behind} bytes behind the primary and does not catch up within {_LAG_SECONDS:g} s"
                remedy = "see logs/postgres-replica.log; the primary answers all reads meanwhile"
                return _warn("replica", line, remedy)
            slowest = max(slowest, lag.seconds)
    return _ok("replica", f"reachable, follows the primary, {slowest * 1000:.0f} ms behind")


async def _reminders(url: str) -> Finding:
    async with watching(url) as punctuality:
        overdue = await punctuality.overdue(at_most=_COUNTED_AT_MOST)
    if overdue.oldest > _LATE_SECONDS:
        line = f"{overdue.reminders} are overdue, the oldest for {overdue.oldest:.0f} s"
        return _warn("reminders", line, "see logs/sweeper.log: no sweep runs, or none can")
    return _ok("reminders", "no reminder is late")


async def _stream(url: str) -> Finding:
    client = await nats_bus.connect(url, name="taskbell doctor")
    try:
        found = await client.jetstream().stream_info(STREAM)
    finally:
        await client.close()
    return _ok("NATS", f"reachable, stream {STREAM} holds {found.state.messages} events")
