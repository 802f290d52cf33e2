"""A real PgBouncer in transaction mode in front of the PostgreSQL of a run.

Tests that want it are skipped, with the reason, where there is none of version 1.21 or newer: older ones cannot carry
prepared statements. `.ci/pgbouncer` builds one; TASKBELL_PGBOUNCER names it, else it is looked for in PATH. With
TASKBELL_TESTS_THROUGH_PGBOUNCER=1 all tests of a run reach PostgreSQL through it, except as relay, owner and superuser.
"""

import contextlib
import dataclasses
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

import psutil

from taskbell.local.embedded.process import launched, ordinary_identity, serving

_LEAST = (1, 21)
_CONFIGURATION = """\
[databases]
* = host=127.0.0.1 port={postgres_port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users.txt
pool_mode = transaction
max_prepared_statements = 200
max_client_conn = 2000
default_pool_size = {pool_size}
server_round_robin = 1
server_tls_sslmode = disable
log_connections = 0
log_disconnections = 0
"""


def program():
    """Return the path of a PgBouncer that is new enough, and None; or None, and why there is none."""
    path = os.environ.get("TASKBELL_PGBOUNCER") or shutil.which("pgbouncer")
    if path is None:
        return None, "no PgBouncer: build one with .ci/pgbouncer and set TASKBELL_PGBOUNCER to the path it prints"
    told = subprocess.run([path, "--version"], capture_output=True, text=True, check=False, timeout=10).stdout
    version = re.search(r"PgBouncer (\d+)\.(\d+)", told)
    if version is None or (int(version[1]), int(version[2])) < _LEAST:
        return None, f"PgBouncer is too old for prepared statements: {told.splitlines()[:1]}, 1.21 is needed"
    return path, None


@dataclasses.dataclass(frozen=True, kw_only=True)
class PgBouncer:
    """A pooler; as a `Server` of `taskbell.local.embedded.process` it can be run."""

    path: str
    folder: Path
    port: int
    postgres_port: int
    passwords: Mapping[str, str]
    """Of each role that may come through it."""
    pool_size: int = 20

    stop_signal = signal.SIGQUIT  # at once, whoever is connected

    def prepare(self):
        """Write the configuration."""
        self.folder.mkdir(parents=True, exist_ok=True)
        fields = dataclasses.asdict(self)
        (self.folder / "pgbouncer.ini").write_text(_CONFIGURATION.format(**fields))
        users = "".join(f'"{role}" "{password}"\n' for role, password in self.passwords.items())
        (self.folder / "users.txt").write_text(users)
        if identity := ordinary_identity(self.folder):
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, identity.uid, identity.gid)

    def command(self):
        """The command line that runs it in the foreground."""
        return launched([self.path, str(self.folder / "pgbouncer.ini")], identity=ordinary_identity(self.folder))

    def accepts_connections(self):
        """Whether it listens."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    @contextlib.contextmanager
    def running(self):
        """Run it for the length of the block."""
        with serving(self, name="PgBouncer", log=self.folder.with_suffix(".log"), deadline=20):
            yield self

    def kill(self):
        """Kill it, and wait until it is gone."""
        for each in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if str(self.folder) in " ".join(each.cmdline()):
                    each.kill()
                    psutil.wait_procs([each], timeout=10)

    def of(self, database):
        """A database of the tests as its programs see it through the pooler."""
        return through(database, self.postgres_port, self.port)


def through(database, postgres_port, pooler_port):
    """A database of the tests whose URLs lead through a pooler, but for roles that need sessions of their own."""
    names = ("api_url", "gateway_url", "sweeper_url", "delivery_url")
    urls = {name: getattr(database, name).replace(f":{postgres_port}/", f":{pooler_port}/") for name in names}
    return dataclasses.replace(database, **urls)
