"""A request that is sent again with its `Idempotency-Key` gets the first answer, and changes nothing more."""

import asyncio
from functools import partial
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY

from taskbell.api.repeats import policy
from taskbell.local import db
from taskbell.sweeper.maintenance import maintain
from taskbell.sweeper.repository import maintaining
from taskbell.sweeper.settings import RetentionSettings
from taskbell.testing.waiting import eventually

_REPEATS = partial(REGISTRY.get_sample_value, "taskbell_api_repeats_total")
_REFUSE = """
CREATE OR REPLACE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '53100'; END $$;
CREATE OR REPLACE TRIGGER refused BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION public.refuse();
"""


def refused(answer):
    """Status and code of a problem that is no replay."""
    assert "idempotency-replayed" not in answer.headers
    return answer.status_code, answer.json()["code"]


async def test_a_repeat_gets_the_first_answer_and_changes_nothing(ann, same):
    """A creation, a change, a move, a comment and a deletion are each done once, however often they are sent."""
    other = (await ann.send(None, json={"title": "Other"})).json()
    first = await ann.send("create", json={"title": "One"})
    assert first.status_code == 201
    assert first.headers["location"] == f"/v1/tasks/{first.json()['id']}"
    assert "idempotency-replayed" not in first.headers
    path = f"/tasks/{first.json()['id']}"
    calls = {
        "create": {"json": {"title": "One"}},
        "change": {"method": "PATCH", "path": path, "json": {"status": "completed"}},
        "move": {"path": f"{path}/move", "json": {"before": other["id"]}},
        "comment": {"path": f"{path}/comments", "json": {"body": "Text"}},
        "put": {"method": "PUT", "path": path, "json": {"title": "Two"}},
        "delete": {"method": "DELETE", "path": path},
    }
    found = {"create": first}
    for key, call in calls.items():
        found.setdefault(key, await ann.send(key, **call))
        assert found[key].is_success, found[key].text
        assert same(found[key], await ann.send(key, **call))
    assert found["change"].json()["version"] == 2
    assert await ann.titles() == ["Other"]
    for key, call in calls.items():
        assert same(found[key], await ann.send(key, **call)), "also after the task is gone"


async def test_a_request_without_a_key_is_carried_out_each_time(ann, owner):
    """Without the header nothing is kept."""
    for _ in range(2):
        assert (await ann.send(None, json={"title": "One"})).status_code == 201
    assert await ann.titles() == ["One", "One"]
    assert await owner.fetchval("SELECT count(*) FROM kept_answers") == 0


async def test_fifty_at_once_are_one(ann, same):
    """50 equal requests at once make one task, and get 50 equal answers."""
    answers = await asyncio.gather(*(ann.send("k", json={"title": "One"}) for _ in range(50)))
    (first,) = [answer for answer in answers if "idempotency-replayed" not in answer.headers]
    assert all(same(first, answer) for answer in answers if answer is not first)
    assert await ann.titles() == ["One"]


async def test_a_key_is_its_users(ann, person):
    """Another user with the same key makes a task of their own, and sees nothing of the first one."""
    bob = await person()
    first, other = await asyncio.gather(ann.send("k", json={"title": "Ann's"}), bob.send("k", json={"title": "Bob's"}))
    assert (first.json()["title"], other.json()["title"]) == ("Ann's", "Bob's")
    assert (await ann.titles(), await bob.titles()) == (["Ann's"], ["Bob's"])


@pytest.mark.parametrize(
    "change",
    [
        {"json": {"title": "Two"}},
        {"content": b'{"title": "One" }', "headers": {"Content-Type": "application/json"}},
        {"path": "/workspaces", "json": {"name": "One"}},
        {"path": "/tasks/T", "method": "PATCH", "json": {"title": "One"}},
        {"headers": {"If-Match": '"1"'}, "json": {"title": "One"}},
    ],
    ids=["body", "bytes", "path", "method", "If-Match"],
)
async def test_another_request_with_the_key_is_refused(ann, change):
    """Another body, path, method or precondition is 422 `idempotency_key_reused`; what is asked for is not done."""
    first = await ann.send("k", json={"title": "One"})
    change = change | {"path": change.get("path", "/tasks").replace("T", first.json()["id"])}
    before = _REPEATS({"outcome": "reused"}) or 0
    assert refused(await ann.send("k", **change)) == (422, "idempotency_key_reused")
    assert _REPEATS({"outcome": "reused"}) == before + 1
    assert await ann.titles() == ["One"]


async def test_a_guarded_change_is_repeated_with_its_guard(ann, same):
    """A PATCH with If-Match answers the same 200 again, though the version is another by now."""
    task = (await ann.send(None, json={"title": "One"})).json()
    change = partial(
        ann.send, "k", f"/tasks/{task['id']}", method="PATCH", json={"title": "Two"}, headers={"If-Match": '"1"'}
    )
    first = await change()
    assert first.status_code == 200
    assert same(first, await change())


@pytest.mark.parametrize("key", ["", " ", "a" * 256, "a\tb", "ä".encode()], ids=repr)
async def test_a_malformed_key_is_refused(ann, key):
    """A key of another form is 400 `invalid_idempotency_key`, and nothing is done."""
    assert refused(await ann.send(key, json={"title": "One"})) == (400, "invalid_idempotency_key")
    assert await ann.titles() == []


async def test_reads_pass_over_the_header(ann, owner):
    """A GET with a key, even a malformed one, is answered as ever and not kept."""
    for key in ("k", ""):
        assert (await ann.send(key, method="GET")).status_code == 200
    assert await owner.fetchval("SELECT count(*) FROM kept_answers") == 0


async def test_where_nobody_is_signed_in_a_key_is_refused(api, sign_up):
    """Registering, signing in, refreshing, signing out and the link of an e-mail take no key, and say so."""
    made = await sign_up()
    for path, sent in {
        "/v1/auth/register": {"json": {"email": "new@example.com", "password": made.password}},
        "/v1/auth/login": {"json": {"email": made.email, "password": made.password}},
        "/v1/auth/refresh": {"json": {"refresh_token": made.refresh_token}},
        "/v1/auth/logout": {"json": {"refresh_token": made.refresh_token}},
        f"/v1/unsubscribe?token={uuid4()}": {"data": {"List-Unsubscribe": "One-Click"}},
    }.items():
        answer = await api.post(path, headers={"Idempotency-Key": "k"}, **sent)
        assert refused(answer) == (400, "idempotency_key_not_taken"), path
    assert (await api.post("/v1/auth/refresh", json={"refresh_token": made.refresh_token})).status_code == 200


async def test_what_was_refused_before_the_endpoint_is_not_kept(ann, api):
    """Without a valid token, and with a body that is not valid, the key stays free for the right request."""
    sent = {"headers": {"Idempotency-Key": "k"}, "json": {"title": "One"}}
    assert (await api.post("/v1/tasks", **sent)).status_code == 401
    assert refused(await ann.send("k", json={"title": ""})) == (422, "validation_failed")
    assert (await ann.send("k", json={"title": "One"})).status_code == 201


async def test_what_the_endpoint_refused_is_kept(ann, same):
    """A 404 that the endpoint decided is the answer to each repeat, with the id of the first request."""
    change = partial(ann.send, "k", f"/tasks/{uuid4()}", method="PATCH", json={"title": "One"})
    first = await change()
    assert refused(first) == (404, "not_found")
    assert same(first, await change())


async def test_a_refused_creation_leaves_the_transaction_usable(ann, same):
    """A statement that PostgreSQL refuses is undone alone: what explains the refusal is read after it."""
    sent = {"title": "One", "workspace_id": str(uuid4())}
    first = await ann.send("k", json=sent)
    assert refused(first) == (404, "not_found")
    assert same(first, await ann.send("k", json=sent))
    stranger = {"title": "One", "assignee_ids": [str(uuid4())]}
    assert (await ann.send("s", json=stranger)).status_code == 422


@pytest.mark.parametrize("table", ["tasks", "kept_answers"])
async def test_a_server_error_is_not_kept_and_leaves_nothing(ann, owner, table):
    """If the change or its answer cannot be written, neither is there; the repeat is carried out."""
    await owner.execute(_REFUSE.format(table=table))
    assert refused(await ann.send("k", json={"title": "One"})) == (503, "unavailable")
    assert await ann.titles() == []
    await owner.execute(f"DROP TRIGGER refused ON {table}")
    again = await ann.send("k", json={"title": "One"})
    assert (again.status_code, "idempotency-replayed" in again.headers) == (201, False)
    assert await ann.titles() == ["One"]


async def test_an_unforeseen_error_is_not_kept_and_leaves_nothing(ann, app, monkeypatch):
    """An endpoint that fails after its change is a 500, and the change is undone; the repeat is carried out."""
    tasks = app.state.services.tasks
    with monkeypatch.context() as patched:
        patched.setattr(tasks._recorder, "committed", partial(int, "no number"), raising=False)
        assert refused(await ann.send("k", json={"title": "One"})) == (500, "internal_error")
    assert await ann.titles() == []
    assert (await ann.send("k", json={"title": "One"})).status_code == 201


async def test_a_wrong_guess_counts_with_a_key_too(ann, api, sign_up):
    """Refused passwords are counted though the change is not made: keys are no way around the pauses."""
    made = await sign_up()

    async def guess(number):
        return await api.post(
            "/v1/me/password",
            headers=made.headers | {"Idempotency-Key": f"k{number}"},
            json={"current_password": f"wrong guess {number}", "new_password": "another good password"},
        )

    statuses = [(await guess(number)).status_code for number in range(14)]
    assert statuses[0] == 422
    assert statuses[-1] == 429


async def test_after_a_day_a_key_is_free(ann, owner, database):
    """An answer is kept for 24 hours: then the key makes another task, whether maintenance has run or not."""
    await ann.send("k", json={"title": "One"})
    await ann.send("fresh", json={"title": "Fresh"})
    await owner.execute("UPDATE kept_answers SET created_at = clock_timestamp() - interval '23 hours 59 minutes'")
    assert (await ann.send("k", json={"title": "One"})).headers["idempotency-replayed"] == "true"
    await owner.execute("UPDATE kept_answers SET created_at = clock_timestamp() - interval '24 hours 1 second'")
    assert "idempotency-replayed" not in (await ann.send("k", json={"title": "One"})).headers
    assert await ann.titles() == ["One", "Fresh", "One"]
    async with maintaining(database.owner_url) as maintenance:
        report = await maintain(maintenance, RetentionSettings(database_url=database.owner_url))
    assert (report["kept_answers"], report["failed"]) == (1, {})
    assert (await ann.send("k", json={"title": "One"})).headers["idempotency-replayed"] == "true"


async def test_a_long_answer_is_not_kept_but_its_request_is_not_repeated(ann, monkeypatch):
    """What is longer than may be kept is answered once; a repeat is 409 `answer_not_kept`, and makes no second task."""
    monkeypatch.setattr(policy, "MOST_BYTES", 1000)
    sent = {"title": "One", "description": "x" * 1000}
    assert (await ann.send("k", json=sent)).status_code == 201
    assert refused(await ann.send("k", json=sent)) == (409, "answer_not_kept")
    assert await ann.titles() == ["One"]


async def test_secrets_are_not_readable_where_answers_are_kept(ann, owner):
    """The secret of a webhook, which is shown once, comes again to who has the key; the table shows neither."""
    body = {"url": "https://hooks.example.com/x"}
    first = await ann.send("the-key-itself", "/webhooks", json=body)
    secret = first.json()["secret"]
    assert (await ann.send("the-key-itself", "/webhooks", json=body)).json()["secret"] == secret
    rows = await owner.fetch("SELECT name, sealed FROM kept_answers")
    assert len(rows) == 1
    for part in (secret, secret.removeprefix("whsec_"), "the-key-itself"):
        assert part.encode() not in rows[0]["name"] + rows[0]["sealed"]


async def test_a_user_reads_no_answer_of_another(ann, database):
    """Under the role of the API, PostgreSQL shows the rows of the actor alone."""
    await ann.send("k", json={"title": "One"})
    async with db.connected(database.api_url) as connection, connection.transaction():
        for actor, found in ((ann.user_id, 1), (str(uuid4()), 0)):
            await connection.execute("SELECT set_config('taskbell.actor', $1, true)", actor)
            assert await connection.fetchval("SELECT count(*) FROM kept_answers") == found


class Held:
    """A lock on a table, so that a request waits inside its statement until it is let go."""

    def __init__(self, url, table):
        self._url, self._table = url, table

    async def __aenter__(self):
        self._stack = db.connected(self._url)
        self._connection = await self._stack.__aenter__()
        self._transaction = self._connection.transaction()
        await self._transaction.start()
        await self._connection.execute(f"LOCK TABLE {self._table} IN SHARE MODE")
        return self

    async def waits(self):
        """Wait until somebody waits for a lock."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        await eventually(lambda: self._connection.fetchval(query), "a request waits")

    async def __aexit__(self, *error):
        await self._transaction.rollback()
        await self._stack.__aexit__(*error)


async def test_repeats_wait_for_the_first(ann, database, same):
    """While the first is under way a repeat waits, holds no connection, and gets its answer."""
    async with Held(database.superuser_url, "tasks") as held:
        first = asyncio.create_task(ann.send("k", json={"title": "One"}))
        await held.waits()
        repeats = [asyncio.create_task(ann.send("k", json={"title": "One"})) for _ in range(20)]
        assert (await ann.send(None, "/workspaces", json={"name": "Meanwhile"})).status_code == 201
        assert refused(await ann.send("k", json={"title": "Two"})) == (422, "idempotency_key_reused")
    assert (await first).status_code == 201
    for repeat in repeats:
        assert same(await first, await repeat)


async def test_if_the_first_fails_one_of_those_that_waited_is_carried_out(ann, owner, database):
    """The first meets a server that has no room; of those that waited one makes the task, the others get its answer."""
    async with Held(database.superuser_url, "kept_answers") as held:
        first = asyncio.create_task(ann.send("k", json={"title": "One"}))
        await held.waits()
        repeats = [asyncio.create_task(ann.send("k", json={"title": "One"})) for _ in range(5)]
        await held._connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock'"
        )
        assert refused(await first) == (503, "unavailable")
    answers = [await repeat for repeat in repeats]
    assert {answer.status_code for answer in answers} == {201}
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    assert await ann.titles() == ["One"]


class TestWithoutPatience:
    """A process whose repeats hardly wait."""

    @pytest.fixture
    def overrides(self):
        """A repeat waits for 50 ms."""
        return {"idempotency_wait": "PT0.05S"}

    async def test_what_runs_for_longer_is_a_conflict(self, ann, database, same):
        """A repeat of a request that is still under way is 409 with `Retry-After`; afterwards it is a replay."""
        async with Held(database.superuser_url, "tasks") as held:
            first = asyncio.create_task(ann.send("k", json={"title": "One"}))
            await held.waits()
            conflict = await ann.send("k", json={"title": "One"})
            assert refused(conflict) == (409, "idempotency_key_in_use")
            assert conflict.headers["retry-after"] == "1"
        assert same(await first, await ann.send("k", json={"title": "One"}))

    async def test_also_if_another_process_works_on_it(self, ann, owner, database, app):
        """Across processes the database tells it: a lock that another session holds for as long as it works."""
        await ann.send("k", json={"title": "One"})
        name = await owner.fetchval("SELECT name FROM kept_answers")
        await owner.execute("DELETE FROM kept_answers")
        lock = int.from_bytes(name[:8], signed=True)
        async with owner.transaction():
            await owner.execute("SELECT pg_advisory_xact_lock($1)", lock)
            assert refused(await ann.send("k", json={"title": "One"})) == (409, "idempotency_key_in_use")
        assert (await ann.send("k", json={"title": "One"})).status_code == 201
