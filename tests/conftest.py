"""One PostgreSQL and one NATS for a whole run of pytest, however many processes it has.

The process that the user started owns both servers; xdist's workers are told their addresses. Without workers the
servers start when a test first asks for one. The migrations run once, into a template database; a test that asks for
`database` gets a fresh copy, and a test that asks for `nats_url` an account that holds no stream.
"""

import asyncio
import contextlib
import dataclasses
import json
import os
import secrets
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

import nats
import pytest

import poolers
from taskbell.local import db
from taskbell.local.embedded.nats import NatsServer
from taskbell.local.embedded.postgres import PostgresServer
from taskbell.local.embedded.process import free_port
from taskbell.store import migrate, roles

pytest_plugins = [
    "grouping",
    "event_schemas",
    "event_stream",
    "reminders",
    "webhook_receiver",
    "ports",
    "memory",
    "replication",
    "pgbouncer",
]
"""Fixtures that several rooms use, in tests/shared."""

# The tests start hundreds of processes, which compiled every module again where a machine's settings keep no byte code.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

_TEMPLATE = "taskbell_template"
_LONG_ROOMS = ("faults", "e2e", "loadtests", "capacity", "docs", "local", "charts", "terminal")
_LONG = tuple(f"tests/{room}/" for room in _LONG_ROOMS)
_MOST_WORKERS = 32
_ROOM = 4 * 2**30  # bytes: the write-ahead log may grow to 1 GB, a database has 10 MB


@dataclasses.dataclass(frozen=True, kw_only=True)
class Servers:
    """Where the servers of this run listen. Passwords are random and of no worth after it."""

    postgres_port: int
    nats_port: int
    secret: str
    pooler_port: int | None = None
    """That of a PgBouncer, when all tests go through one."""

    def postgres_url(self, role: str = "postgres", database: str = "postgres") -> str:
        """URL of a database under a role."""
        return f"postgresql://{role}:{self.secret}@127.0.0.1:{self.postgres_port}/{database}"

    def nats_url(self, account: str) -> str:
        """URL of the server under an account of its own."""
        return f"nats://{account}:{self.secret}@127.0.0.1:{self.nats_port}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Database:
    """A migrated database that nobody else uses, under each of its roles. `name` is unique."""

    name: str
    superuser_url: str
    owner_url: str
    api_url: str
    relay_url: str
    gateway_url: str
    sweeper_url: str
    delivery_url: str


_SERVERS = pytest.StashKey[Servers]()


def pytest_configure(config):
    """Start the servers for xdist's workers, or note in a worker where they are."""
    if hasattr(config, "workerinput"):
        if given := config.workerinput.get("servers"):
            config.stash[_SERVERS] = Servers(**json.loads(given))
    elif getattr(config.option, "numprocesses", None) and not config.option.collectonly:
        _started(config)


def pytest_collection_modifyitems(items):
    """Begin with the rooms that take long, so that no worker gets their tests last."""
    items.sort(key=lambda item: not item.nodeid.startswith(_LONG))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    """Tell a new worker of xdist where the servers are."""
    if _SERVERS in node.config.stash:
        node.workerinput["servers"] = json.dumps(dataclasses.asdict(node.config.stash[_SERVERS]))


def _started(config) -> Servers:
    """Return the servers of this run; start them at the first call, stop them when pytest ends in whatever way."""
    if _SERVERS in config.stash:
        return config.stash[_SERVERS]
    os.environ["PGSSLMODE"] = "disable"  # the server speaks no TLS, so nobody needs to ask it at each connection
    stack = contextlib.ExitStack()
    config.add_cleanup(stack.close)
    folder = Path(tempfile.mkdtemp(prefix="taskbell-tests-", dir=_quick_folder()))
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    secret = secrets.token_hex(16)
    names = ["main", "chart", "shared", *(f"gw{number}" for number in range(_MOST_WORKERS))]
    accounts = dict.fromkeys(names, secret)
    postgres = stack.enter_context(
        PostgresServer(folder / "postgres", password=secret, durable=False).running(folder / "postgres.log")
    )
    nats_server = stack.enter_context(NatsServer(folder / "nats", accounts=accounts).running(folder / "nats.log"))
    servers = Servers(postgres_port=postgres.port, nats_port=nats_server.port, secret=secret)
    if os.environ.get("TASKBELL_TESTS_THROUGH_PGBOUNCER"):
        path, reason = poolers.program()
        if path is None:
            raise pytest.UsageError(f"TASKBELL_TESTS_THROUGH_PGBOUNCER: {reason}")
        folder.chmod(0o755)  # it runs as an ordinary user
        ports = {"port": free_port(), "postgres_port": postgres.port}
        passwords = dict.fromkeys(roles.ROLES, secret)
        pooler = poolers.PgBouncer(path=path, folder=folder / "pgbouncer", passwords=passwords, **ports)
        stack.enter_context(pooler.running())
        servers = dataclasses.replace(servers, pooler_port=pooler.port)
    asyncio.run(_provide_template(servers))
    config.stash[_SERVERS] = servers
    return servers


def _quick_folder() -> str | None:
    """Return the folder in memory where there is one with room to spare, else None: the databases are throw-away."""
    memory = Path("/dev/shm")
    try:
        has_room = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _ROOM
    except OSError:
        return None
    return str(memory) if has_room else None


async def _provide_template(servers: Servers) -> None:
    await db.ensure_roles(servers.postgres_url(), dict.fromkeys(roles.ROLES, servers.secret))
    await db.ensure_database(servers.postgres_url(), _TEMPLATE)
    await migrate.upgrade_async(servers.postgres_url(roles.OWNER, _TEMPLATE))


@pytest.fixture(scope="session")
def servers(request) -> Servers:
    """The PostgreSQL and NATS of this run."""
    return _started(request.config)


@pytest.fixture
async def empty_database(fresh_database) -> Database:
    """A database without any schema, for tests of the migrations."""
    async with fresh_database(template="template0") as database:
        yield database


@pytest.fixture
async def database(fresh_database) -> Database:
    """A fresh copy of the migrated database; dropped after the test, with whatever sessions are left in it."""
    async with fresh_database() as database:
        yield database


@pytest.fixture(scope="session")
def fresh_database(servers):
    """Makes such copies for longer than a test: for tests that share one and look only at rows of their own."""
    return partial(_fresh_database, servers, template=_TEMPLATE)


@contextlib.asynccontextmanager
async def _fresh_database(servers: Servers, *, template: str):
    name = f"test_{os.getpid()}_{secrets.token_hex(6)}"
    superuser = servers.postgres_url()
    async with db.connected(superuser) as connection:
        # Copying files is quicker than logging each page where nothing waits for the disk.
        copied = f'CREATE DATABASE "{name}" OWNER {roles.OWNER} TEMPLATE "{template}" STRATEGY FILE_COPY'
        await connection.execute(copied)
    made = Database(
        name=name,
        superuser_url=servers.postgres_url(database=name),
        owner_url=servers.postgres_url(roles.OWNER, name),
        api_url=servers.postgres_url(roles.API, name),
        relay_url=servers.postgres_url(roles.RELAY, name),
        gateway_url=servers.postgres_url(roles.GATEWAY, name),
        sweeper_url=servers.postgres_url(roles.SWEEPER, name),
        delivery_url=servers.postgres_url(roles.DELIVERY, name),
    )
    yield made if servers.pooler_port is None else poolers.through(made, servers.postgres_port, servers.pooler_port)
    await db.drop_database(superuser, name)


@pytest.fixture
async def nats_url(servers, request) -> str:
    """A NATS account that this worker alone uses; its streams are deleted after the test."""
    worker = getattr(request.config, "workerinput", {}).get("workerid", "main")
    url = servers.nats_url(worker)
    yield url
    connection = await nats.connect(url)
    stream_context = connection.jetstream()
    for stream in await stream_context.streams_info():
        await stream_context.delete_stream(stream.config.name)
    await connection.close()
