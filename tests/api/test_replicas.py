"""Reads of the API while its replica lags, stands still, dies and returns."""

import asyncio
import contextlib
import os
import random
from functools import partial
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY

from taskbell.api.app import create_app
from taskbell.api.settings import ApiSettings
from taskbell.local.embedded.postgres import PostgresReplica
from taskbell.testing.waiting import eventually

pytestmark = [pytest.mark.xdist_group("replicated"), pytest.mark.feature("M40")]
_CHECKS = int(os.environ.get("TASKBELL_CONSISTENCY_CHECKS", "3000"))
_HEADER = "Taskbell-Consistency"
_CHEAP = {
    "database_pool_size": 8,
    "database_acquire_timeout": "PT1M",
    "rate_limit_per_minute": 1_000_000_000,
    "requests_at_once_per_user": 1_000,
    "password_hash_memory_kib": 8,
    "password_hash_iterations": 1,
    "registrations_allowed": 100_000,
}


@pytest.fixture
def start(replicated, nats_url, signing_keys, api_client_of):
    """Starts an API that reads from the replica, with a memory of its own; yields a client and its services."""

    @contextlib.asynccontextmanager
    async def started(**settings):
        own = {
            "database_url": replicated.primary_url(),
            "database_replica_urls": (replicated.replica_url(),),
            "nats_url": nats_url,
            "signing_keys": signing_keys,
        }
        app = create_app(ApiSettings(**_CHEAP | own | settings))
        async with app.router.lifespan_context(app), api_client_of(app) as client:
            services = app.state.services
            await eventually(partial(_is_well, services), "the replica")
            yield client, services

    return started


def _is_well(services):
    import time

    return all(each.is_well(time.monotonic(), most_lag=1.0) for each in services.replicas)


def _answered():
    """How many reads each server has answered in this process so far."""
    names = ("replica", "primary_recent", "primary_shared", "primary_away", "primary_repeated")
    value = partial(REGISTRY.get_sample_value, "taskbell_api_reads_total")
    return {name: value({"answered_by": name}) or 0 for name in names}


class _Client:
    """A user of the API that sends the position of the answer before, if it is told to."""

    def __init__(self, http, account, *, sends=False):
        self.http, self.headers, self.sends = http, account, sends
        self.position = None

    async def call(self, method, path, *, http=None, **sent):
        """Call a path; keeps the position of the answer."""
        more = {_HEADER: self.position} if self.sends and self.position is not None else {}
        answer = await (http or self.http).request(method, f"/v1{path}", headers=self.headers | more, **sent)
        assert answer.status_code < 500, answer.text
        self.position = answer.headers.get(_HEADER, self.position)
        return answer


_emails = iter(range(10**9))


async def _sign_up(http):
    name = f"reader{os.getpid()}-{next(_emails)}@example.com"
    answer = await http.post("/v1/auth/register", json={"email": name, "password": "correct horse", "name": "Reader"})
    assert answer.status_code == 201, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


async def test_reads_are_answered_by_the_replica(start):
    """Once it holds what the user wrote: a task, lists of tasks, the inbox, comments, how the user follows a task."""
    async with start() as (http, _):
        user = _Client(http, await _sign_up(http))
        task = (await user.call("POST", "/tasks", json={"title": "one"})).json()
        paths = ["", "/comments", "/subscription"]
        every = [f"/tasks/{task['id']}{path}" for path in paths] + ["/tasks", "/me/tasks", "/notifications"]
        for path in every:
            before = _answered()["replica"]
            answer = await eventually(partial(_from_replica, user, path, before), f"an answer of the replica: {path}")
            assert answer.status_code == 200
            assert _HEADER not in answer.headers, "the replica's answers bind nobody"


async def _from_replica(user, path, before):
    answer = await user.call("GET", path)
    return answer if _answered()["replica"] > before else None


async def test_many_reads_at_once_are_shared_with_the_primary(start):
    """No server is idle while the other one has a queue."""
    async with start() as (http, _):
        users = [_Client(http, await _sign_up(http)) for _ in range(12)]
        before = _answered()
        await eventually(partial(_from_both, users, before), "answers of both servers")


async def _from_both(users, before):
    answers = await asyncio.gather(*(user.call("GET", "/tasks") for user in users))
    assert {answer.status_code for answer in answers} == {200}
    answered = {name: count - before[name] for name, count in _answered().items()}
    return answered["replica"] and answered["primary_shared"]


async def test_every_change_tells_its_position(start):
    """Whatever was changed, and however many statements it took; a failed request tells none."""
    async with start() as (http, _):
        user = _Client(http, await _sign_up(http))
        created = await user.call("POST", "/tasks", json={"title": "one"})
        path = f"/tasks/{created.json()['id']}"
        other = (await user.call("POST", "/tasks", json={"title": "two"})).json()["id"]
        changes = [
            ("PATCH", path, {"title": "other"}),
            ("PATCH", path, {"title": "other"}),
            ("PUT", path, {"title": "third"}),
            ("POST", f"{path}/move", {"after": other}),
            ("POST", f"{path}/comments", {"body": "text"}),
            ("POST", f"{path}/remind", {}),
            ("PUT", f"{path}/subscription", {"state": "watching"}),
            ("POST", "/notifications/read", {"all": True}),
            ("PUT", "/me/preferences", {"items": []}),
            ("POST", "/workspaces", {"name": "Tower"}),
            ("DELETE", path, None),
        ]
        positions = [int(created.headers[_HEADER])]
        for method, where, body in changes:
            answer = await user.call(method, where, json=body)
            assert answer.status_code < 300, (where, answer.text)
            positions.append(int(answer.headers[_HEADER]))
        assert positions == sorted(positions)
        assert len(set(positions)) >= 10, "changes have positions of their own"
        assert _HEADER not in (await user.call("DELETE", path)).headers


@pytest.mark.parametrize("text", ["x", "-1", "1" * 30])
async def test_a_malformed_position_is_a_clear_problem(start, text):
    """It names the header; nothing is read."""
    async with start() as (http, _):
        account = await _sign_up(http)
        answer = await http.get("/v1/tasks", headers=account | {_HEADER: text})
        assert answer.status_code == 400
        assert answer.json()["code"] == "invalid_request"
        assert _HEADER in answer.json()["detail"]


async def test_a_client_may_ask_for_the_newest(start):
    """`latest` is always answered by the primary, with a position to go on with; so is what nobody has."""
    async with start() as (http, _):
        account = await _sign_up(http)
        for path, status in (("/v1/tasks", 200), (f"/v1/tasks/{uuid4()}", 404)):
            for position in ("latest", str(2**63)):
                answer = await http.get(path, headers=account | {_HEADER: position})
                assert answer.status_code == status
                assert int(answer.headers[_HEADER]) < 2**40


@pytest.mark.timeout(120 + _CHECKS / 20)
@pytest.mark.parametrize("how", ["one process, no header", "two processes, with the header"])
async def test_no_read_shows_less_than_its_client_has_seen(start, replicated, how):
    """Own changes are read at once and no read goes back, while the replica pauses and resumes at random.

    Each of six users follows an own task, three of them one that all three change; a check is a read of a task.
    """
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    async with start() as (first, _), start() as (second, _):
        https = [first] if how.startswith("one") else [first, second]
        accounts = [await _sign_up(first) for _ in range(6)]
        workspace = await _workspace_of(first, accounts[:3])
        watch = _Watch(https=https, chance=chance, sends=len(https) > 1)
        watch.workspace = workspace
        fields = {"title": "0", "workspace_id": workspace}
        watch.shared = (await first.post("/v1/tasks", headers=accounts[0], json=fields)).json()["id"]
        before = _answered()
        chaos = asyncio.create_task(_pause_at_random(replicated, chance))
        try:
            await asyncio.gather(*(watch.use(account, number) for number, account in enumerate(accounts)))
        finally:
            chaos.cancel()
            await asyncio.gather(chaos, return_exceptions=True)
            async with replicated.administering(replicated.replica) as connection:
                await connection.execute("SELECT pg_wal_replay_resume()")
    answered = {name: count - before[name] for name, count in _answered().items()}
    assert watch.violations == [], f"seed {seed}"
    assert watch.checks >= _CHECKS
    assert min(answered["replica"], answered["primary_recent"]) > _CHECKS / 50, answered
    print(f"{how}: {watch.checks} checks, answered by {answered}")  # noqa: T201 -- the account of a long run


async def _workspace_of(http, accounts):
    """Make a workspace of some accounts."""
    owner, *others = accounts
    workspace = (await http.post("/v1/workspaces", headers=owner, json={"name": "Tower"})).json()["id"]
    for other in others:
        email = (await http.get("/v1/me", headers=other)).json()["email"]
        invited = {"email": email, "role": "member"}
        answer = await http.post(f"/v1/workspaces/{workspace}/members", headers=owner, json=invited)
        accepted = await http.post(f"/v1/invitations/{answer.json()['id']}/accept", headers=other)
        assert accepted.status_code == 200, accepted.text
    return workspace


async def _pause_at_random(replicated, chance):
    async with replicated.administering(replicated.replica) as connection:
        while True:
            await asyncio.sleep(chance.uniform(0, 0.4))
            await connection.execute("SELECT pg_wal_replay_pause()")
            await asyncio.sleep(chance.choice([0.02, 0.02, 0.1, 0.1, 0.3, 1.5]))
            await connection.execute("SELECT pg_wal_replay_resume()")


class _Watch:
    """Users at work, each in turns; counts reads, and those that show an older version than the user has seen."""

    def __init__(self, *, https, chance, sends):
        self.https, self.chance, self.sends = https, chance, sends
        self.checks, self.violations = 0, []

    async def use(self, account, number):
        """Read and change until there were enough checks."""
        user = _Client(self.https[0], account, sends=self.sends)
        own = (await user.call("POST", "/tasks", json={"title": "own"})).json()["id"]
        tasks = [own, self.shared] if number < 3 else [own]
        seen = dict.fromkeys(tasks, 0)
        while self.checks < _CHECKS:
            task, http = self.chance.choice(tasks), self.chance.choice(self.https)
            call = partial(user.call, http=http)
            if self.chance.random() < 0.1:
                answer = await call("PATCH", f"/tasks/{task}", json={"title": str(self.chance.random())})
                seen[task] = max(seen[task], answer.json()["version"])
                continue
            if self.chance.random() < 0.05:
                await asyncio.sleep(self.chance.uniform(0, 0.1))
            if self.chance.random() < 0.5:
                answer = await call("GET", f"/tasks/{task}")
                shown = answer.json().get("version", -1)
            else:
                params = {"workspace_id": self.workspace} if task == self.shared else {}
                answer = await call("GET", "/tasks", params=params)
                shown = {each["id"]: each["version"] for each in answer.json()["items"]}.get(task, -1)
            self.checks += 1
            if shown < seen[task]:
                self.violations.append((number, task, shown, seen[task]))
            seen[task] = max(seen[task], shown)


async def test_a_lagging_replica_is_routed_around_and_taken_back(start, replicated):
    """While it pauses, users who wrote nothing read the primary as soon as it lags too much; later it again."""
    async with start() as (http, _):
        reader, writer = _Client(http, await _sign_up(http)), _Client(http, await _sign_up(http))
        await eventually(partial(_counted, reader, "replica"), "an answer of the replica")
        async with replicated.paused():
            await writer.call("POST", "/tasks", json={"title": "one"})
            await eventually(partial(_counted, reader, "primary_away"), "an answer of the primary")
        await eventually(partial(_counted, reader, "replica"), "an answer of the replica again")


async def _counted(user, name):
    before = _answered()[name]
    assert (await user.call("GET", "/tasks")).status_code == 200
    return _answered()[name] > before


async def test_a_frozen_replica_holds_nobody_up(start, replicated):
    """Statements under way are cut and repeated on the primary; no request fails, then or later."""
    async with start() as (http, _):
        users = [_Client(http, await _sign_up(http)) for _ in range(4)]
        await eventually(partial(_counted, users[0], "replica"), "an answer of the replica")
        before = _answered()

        async def freeze():
            with replicated.frozen():
                answers = await asyncio.gather(*(user.call("GET", "/tasks") for user in users))
                assert {answer.status_code for answer in answers} == {200}
                await eventually(partial(_counted, users[0], "primary_away"), "an answer of the primary")
            await eventually(partial(_counted, users[0], "replica"), "an answer of the replica again")
            return _answered()["primary_repeated"] > before["primary_repeated"]

        # On a busy machine the replica may be seen to be away before it is asked.
        await eventually(freeze, "statements under way are repeated")


async def test_a_killed_replica_costs_no_request(start, replicated, tmp_path):
    """It is killed and started again under load: every read is answered, and readiness does not ask for it."""
    second = PostgresReplica(replicated.folder / "second", primary=replicated.primary, name="second")
    url = second.url("taskbell_api", replicated.secret, "taskbell")
    async with contextlib.AsyncExitStack() as stack:
        with second.running(tmp_path / "second.log"):
            http, services = await stack.enter_async_context(start(database_replica_urls=(url,)))
            user = _Client(http, await _sign_up(http))
            await eventually(partial(_counted, user, "replica"), "an answer of the replica")
            statuses = []
            reading = asyncio.create_task(_read_on(user, statuses))
            os.kill(int((second.data_dir / "postmaster.pid").read_text().split()[0]), 9)
            await eventually(lambda: not _is_well(services), "the loss of the replica")
            assert (await http.get("/readyz")).status_code == 200
        with second.running(tmp_path / "second.log"):
            await eventually(partial(_counted, user, "replica"), "an answer of the replica again")
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            assert set(statuses) == {200}
            await stack.aclose()
    async with replicated.administering(replicated.primary) as connection:
        dropped = "SELECT pg_drop_replication_slot('second')"
        await eventually(partial(_succeeds, connection, dropped), "the end of the slot's use")


async def _succeeds(connection, statement):
    import asyncpg

    try:
        await connection.execute(statement)
    except asyncpg.ObjectInUseError:
        return False
    return True


async def _read_on(user, statuses):
    while True:
        statuses.append((await user.call("GET", "/tasks")).status_code)
        await asyncio.sleep(0)


async def test_what_the_replica_breaks_off_is_repeated_on_the_primary(start, replicated):
    """Sessions that the replica ends, as a shutdown or a conflict with its recovery does: users see nothing of it."""
    async with start() as (http, _):
        user = _Client(http, await _sign_up(http))
        await eventually(partial(_counted, user, "replica"), "an answer of the replica")
        async with replicated.administering(replicated.replica) as admin:
            before = _answered()["primary_repeated"]
            statuses = []
            reading = asyncio.create_task(_read_on(user, statuses))
            await eventually(partial(_end_pooled_sessions, admin, before), "a repeated statement")
            known = len(statuses)
            await eventually(lambda: len(statuses) > known, "the answer to it")
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        assert set(statuses) == {200}


async def _end_pooled_sessions(admin, before):
    await admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1 AND query NOT LIKE $2",
        "taskbell_api",
        "%pg_last_wal_replay_lsn%",
    )
    return _answered()["primary_repeated"] > before


async def test_row_level_security_holds_on_the_replica(start):
    """A stranger finds nothing of a task that the replica has."""
    async with start() as (http, _):
        ann, bob = _Client(http, await _sign_up(http)), _Client(http, await _sign_up(http))
        task = (await ann.call("POST", "/tasks", json={"title": "private"})).json()["id"]
        await eventually(partial(_counted, ann, "replica"), "the task on the replica")
        for path, status in ((f"/tasks/{task}", 404), ("/tasks", 200)):
            read = partial(_from_replica, bob, path, _answered()["replica"])
            answer = await eventually(read, f"an answer of the replica: {path}")
            assert answer.status_code == status
            assert answer.json().get("items", []) == []


async def test_a_server_that_is_no_replica_is_not_asked(start, replicated, nats_url, signing_keys, api_client_of):
    """A URL that leads to the primary, or to another PostgreSQL, is not read from; the API serves without it."""
    settings = {"nats_url": nats_url, "signing_keys": signing_keys, "database_url": replicated.primary_url()}
    app = create_app(ApiSettings(**_CHEAP | settings | {"database_replica_urls": (replicated.primary_url(),)}))
    async with app.router.lifespan_context(app), api_client_of(app) as http:
        user = _Client(http, await _sign_up(http))
        assert await eventually(partial(_counted, user, "primary_away"), "an answer of the primary")
        assert app.state.services.replicas[0].pool is None
