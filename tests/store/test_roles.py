"""Any admin that may create roles can create the roles of the programs."""

import asyncio
import contextlib

import asyncpg
import pytest

from taskbell.kit.settings import load
from taskbell.local.embedded.postgres import PostgresServer
from taskbell.store import command as jobs
from taskbell.store import migrate, revisions, roles


@pytest.fixture
def fresh(tmp_path_factory):
    """A PostgreSQL of its own: roles belong to a whole server, and this one has none of ours yet."""
    folder = tmp_path_factory.mktemp("server")
    with PostgresServer(folder / "data", password="of-nobody", durable=False).running(folder / "log") as server:
        yield server


@pytest.fixture
def settings(fresh, monkeypatch):
    """The environment of the chart's init container, with an admin as database providers offer."""
    urls = [fresh.url(role, "secret", "taskbell") for role in roles.ROLES]
    monkeypatch.setenv("TASKBELL_ADMIN_DATABASE_URL", fresh.url("admin", "secret"))
    monkeypatch.setenv("TASKBELL_ROLE_URLS", ",".join(urls))
    return load(jobs.RoleSettings)


@pytest.mark.feature("M49")
async def test_an_admin_that_is_no_superuser_suffices(fresh, settings):
    """With CREATEROLE, CREATEDB and its own database it makes all roles, and the owner's URL brings the schema."""
    superuser = await asyncpg.connect(fresh.url())
    await superuser.execute("CREATE ROLE admin LOGIN CREATEROLE CREATEDB PASSWORD 'secret'")
    await superuser.execute("CREATE DATABASE taskbell OWNER admin")
    for _ in range(2):
        await jobs.provide_roles(settings)
    owner = fresh.url(roles.OWNER, "secret", "taskbell") + "?sslmode=prefer"
    assert await migrate.upgrade_async(owner) == revisions.head()
    for role in roles.ROLES:
        await (await asyncpg.connect(fresh.url(role, "secret", "taskbell"))).close()
    await superuser.close()


async def test_a_role_that_could_do_everything_is_put_in_its_place(fresh, settings):
    """A role that somebody made a superuser, past all row-level security, is none after the next run."""
    superuser = await asyncpg.connect(fresh.url())
    await superuser.execute("CREATE DATABASE taskbell")
    await superuser.execute(f"CREATE ROLE {roles.API} SUPERUSER BYPASSRLS")
    await superuser.execute("CREATE ROLE admin LOGIN SUPERUSER PASSWORD 'secret'")
    await jobs.provide_roles(settings)
    found = await superuser.fetchrow(
        "SELECT rolsuper, rolbypassrls, rolcanlogin FROM pg_roles WHERE rolname = $1", roles.API
    )
    assert tuple(found) == (False, False, True)
    await superuser.close()


async def test_a_server_that_comes_later_is_awaited(tmp_path, monkeypatch):
    """In a cluster database and Job start at once: the Job waits, and gives up after its patience."""
    server = PostgresServer(tmp_path / "data", password="of-nobody", durable=False)
    monkeypatch.setenv("TASKBELL_ADMIN_DATABASE_URL", server.url())
    monkeypatch.setenv("TASKBELL_ROLE_URLS", ",".join(server.url(role, "secret") for role in roles.ROLES))
    settings = load(jobs.RoleSettings)
    with pytest.raises(ConnectionRefusedError):
        await jobs.provide_roles(settings)
    waiting = asyncio.create_task(jobs.provide_roles(settings, patience=30))
    async with contextlib.AsyncExitStack() as stack:
        running = server.running(tmp_path / "log")
        await asyncio.to_thread(stack.enter_context, running)
        await waiting
