"""Maintenance: what is made ahead, what is removed and what stays; one failure does not stop the rest."""

import json
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from taskbell.kit.ids import new_id
from taskbell.kit.settings import load
from taskbell.local import db
from taskbell.store import partitions
from taskbell.sweeper.maintenance import maintain
from taskbell.sweeper.repository import maintaining
from taskbell.sweeper.settings import RetentionSettings
from taskbell.testing.waiting import eventually

_OLD = datetime(2025, 1, 15, tzinfo=UTC)


@pytest.fixture
def run(database):
    """Runs the maintenance."""

    async def work(**settings):
        async with maintaining(database.owner_url) as maintenance:
            return await maintain(maintenance, RetentionSettings(database_url=database.owner_url, **settings))

    return work


async def _count(owner, table):
    return await owner.fetchval(f"SELECT count(*) FROM {table}")


@pytest.fixture
async def old(owner, database, team):
    """An event, a notification, a delivery and a task of long ago, in partitions of their own."""
    settings = RetentionSettings(database_url=database.owner_url, partitions_ahead=0)
    await partitions.maintain(owner, settings=settings, now=_OLD)
    identity = partitions.lowest_id(_OLD)
    await owner.execute(
        "INSERT INTO events (id, workspace_id, type, subject_id, audience, data)"
        " VALUES ($1, $1, 'task.created', $1, '{}', '{}')",
        identity,
    )
    await owner.execute(
        "INSERT INTO notifications (id, user_id, kind, workspace_id, title, body)"
        " VALUES ($1, $2, 'due_soon', $3, '', '')",
        identity,
        team.members[0],
        team.workspace,
    )
    await owner.execute(
        "INSERT INTO deliveries (event_id, channel, endpoint_id, workspace_id, event_type, payload, give_up_at)"
        " VALUES ($1, 'webhook', $1, $1, 'task.created', '{}', now())",
        identity,
    )
    await owner.execute(
        "INSERT INTO tasks (id, workspace_id, title, created_by) VALUES ($1, $2, 'T', $3)",
        identity,
        team.workspace,
        team.members[0],
    )


@pytest.fixture
def carried(owner):
    """Lets the relay have carried everything, once no transaction of another test on the server holds events back."""
    settled = "SELECT NOT EXISTS (SELECT FROM events WHERE xid >= pg_snapshot_xmin(pg_current_snapshot()))"

    async def carry():
        await eventually(partial(owner.fetchval, settled), "the end of older transactions")
        await owner.execute("UPDATE relay_state SET done_snapshot = pg_current_snapshot()")

    return carry


@pytest.mark.feature("M18")
async def test_expired_partitions_are_dropped(run, old, owner, carried):
    """Partitions of events and notifications go when all of them is past retention; tasks and present rows stay."""
    await carried()
    report = await run()
    assert set(report["dropped"]) == {"events_2025_01", "notifications_2025_01", "deliveries_2025_01"}
    counted = ("events", "notifications", "deliveries", "tasks")
    assert [await _count(owner, table) for table in counted] == [0, 0, 0, 1]
    assert report["failed"] == {}
    assert (await run())["dropped"] == []


async def test_retention_decides(run, old, carried):
    """What is within the retention stays, by table."""
    await carried()
    years = timedelta(days=3650)
    assert (await run(event_retention=years, notification_retention=years, delivery_retention=years))["dropped"] == []
    dropped = (await run(event_retention=years, delivery_retention=years))["dropped"]
    assert dropped == ["notifications_2025_01"]
    assert (await run(delivery_retention=years))["dropped"] == ["events_2025_01"]


async def test_events_that_were_not_carried_stay(run, old, owner, carried):
    """However old: an event that the relay has not published is the only copy of a fact."""
    assert set((await run())["dropped"]) == {"notifications_2025_01", "deliveries_2025_01"}
    assert await _count(owner, "events") == 1
    await carried()
    assert (await run())["dropped"] == ["events_2025_01"]


async def test_deliveries_under_way_stay(run, old, owner, carried):
    """An old event that somebody lets be delivered once more is kept until that has come to an end."""
    await carried()
    await owner.execute("UPDATE deliveries SET give_up_at = now() + interval '1 day'")
    assert set((await run())["dropped"]) == {"events_2025_01", "notifications_2025_01"}
    await owner.execute("UPDATE deliveries SET state = 'delivered'")
    assert (await run())["dropped"] == ["deliveries_2025_01"]


async def test_events_that_deliveries_refer_to_stay(run, old, owner, carried):
    """An old event goes when its deliveries have ended, because they hold no copy of it."""
    await carried()
    await owner.execute("UPDATE deliveries SET payload = NULL, give_up_at = now() + interval '1 day'")
    assert (await run())["dropped"] == ["notifications_2025_01"]
    await owner.execute("UPDATE deliveries SET state = 'dead'")
    assert set((await run())["dropped"]) == {"events_2025_01", "deliveries_2025_01"}


async def test_the_log_of_deliveries_is_kept_as_long_as_events(monkeypatch, capsys):
    """Else a replay of the stream would send what was delivered."""
    monkeypatch.setenv("TASKBELL_DATABASE_URL", "postgresql://x@127.0.0.1/x")
    monkeypatch.setenv("TASKBELL_EVENT_RETENTION", "P100D")
    with pytest.raises(SystemExit):
        load(RetentionSettings)
    assert "TASKBELL_DELIVERY_RETENTION: Value error, must not be shorter than TASKBELL_EVENT_RETENTION" in (
        capsys.readouterr().err
    )


@pytest.mark.feature("H10")
async def test_a_job_is_remembered_until_its_task_was_due(run, team, owner, fired, run_sweep):
    """A lead may be a year: who reopens the task months after it fired is not told once more."""
    await owner.execute(
        "WITH task AS (INSERT INTO tasks (workspace_id, title, due_at, created_by)"
        " VALUES ($1, 'T', now() + interval '100 days', $2) RETURNING id, workspace_id)"
        " INSERT INTO reminders (task_id, workspace_id, lead, fire_at)"
        " SELECT id, workspace_id, '365 days', now() FROM task",
        team.workspace,
        team.members[0],
    )
    assert (await run_sweep()).fired == 1
    await owner.execute("UPDATE job_log SET finished_at = now() - interval '60 days'")
    assert (await run())["job_log"] == 0
    await owner.execute("INSERT INTO reminders SELECT id, workspace_id, '365 days', now() FROM tasks")
    assert (await run_sweep()).repeated == 1
    assert len(await fired()) == 1


@pytest.mark.feature("M18")
async def test_partitions_are_made_ahead(run, owner):
    """The partitions of the time to come are there after it, each once."""
    before = (await run(partitions_ahead=3))["partitions"]["created"]
    assert before
    assert (await run(partitions_ahead=3))["partitions"]["created"] == []


_OUTLIVED = (
    "sessions",
    "login_attempts",
    "deleted_tasks",
    "job_log",
    "invitations",
    "email_confirmations",
    "password_resets",
)


async def test_what_outlived_its_use_is_deleted(run, owner, team):
    """Sessions with their tokens, throttles, tombstones, job log, invitations: old rows go, the others stay."""
    user, workspace = team.members[0], team.workspace
    for days in (8, 6, -1):
        session = new_id()
        await owner.execute(
            "INSERT INTO sessions (id, user_id, expires_at) VALUES ($1, $2, now() - $3::int * interval '1 day')",
            session,
            user,
            days,
        )
        await owner.execute(
            "INSERT INTO refresh_tokens (token_hash, session_id, user_id) VALUES ($1, $2, $3)",
            session.bytes * 2,
            session,
            user,
        )
        await owner.execute(
            "INSERT INTO deleted_tasks (id, workspace_id, priority, position, created_at, updated_at, deleted_at)"
            " VALUES ($1, $2, 5, 1, now(), now(), now() - $3::int * interval '1 day')",
            session,
            workspace,
            days,
        )
        await owner.execute(
            "INSERT INTO job_log (job_id, finished_at) VALUES ($1, now() - $2::int * interval '4 days')",
            str(days),
            days,
        )
        await owner.execute(
            "INSERT INTO invitations (id, workspace_id, email, role, invited_by, expires_at)"
            " VALUES ($1, $2, $1::uuid::text, 'member', $3, now() - $4::int * interval '1 day')",
            session,
            workspace,
            user,
            days,
        )
    await owner.execute(
        "INSERT INTO email_confirmations (user_id, email, mailbox, token_hash, created_at, expires_at)"
        " SELECT $1, 'a', $2, sha256(n::text::bytea), now() - n * interval '1 day', now() + (2 - n) * interval '1 day'"
        " FROM generate_series(1, 3) n",
        user,
        user.bytes * 2,
    )
    await owner.execute(
        "INSERT INTO password_resets (mailbox, token_hash, expires_at)"
        " SELECT $1, sha256(n::text::bytea), now() + (n - 2) * interval '1 minute' FROM generate_series(1, 3) n",
        user.bytes * 2,
    )
    await owner.execute(
        "INSERT INTO login_attempts (key, window_started_at, blocked_until) VALUES"
        " ('old', now() - interval '2 days', NULL), ('new', now(), NULL),"
        " ('blocked', now() - interval '2 days', now() + interval '1 hour')"
    )
    report = await run()
    assert {name: report[name] for name in _OUTLIVED} == {
        "sessions": 1,
        "login_attempts": 1,
        "deleted_tasks": 1,
        "job_log": 1,
        "invitations": 2,
        "email_confirmations": 2,
        "password_resets": 2,
    }
    assert [await _count(owner, table) for table in ("sessions", "refresh_tokens", "deleted_tasks")] == [2, 2, 2]


async def test_many_rows_go_in_pieces(run, owner):
    """More than one transaction's worth is deleted, all of it."""
    await owner.execute(
        "INSERT INTO job_log (job_id, finished_at)"
        " SELECT n::text, now() - interval '1 year' FROM generate_series(1, 12000) n"
    )
    assert (await run())["job_log"] == 12000
    assert await _count(owner, "job_log") == 0


async def test_a_failing_step_is_told_and_the_others_run(database, owner, old, carried, spawn):
    """A step that PostgreSQL refuses is named, the exit status is 1, and everything else is done."""
    await carried()
    await owner.execute("INSERT INTO job_log (job_id, finished_at) VALUES ('old', now() - interval '1 year')")
    await owner.execute("ALTER TABLE deleted_tasks RENAME COLUMN deleted_at TO elsewhere")
    process = await spawn(database.owner_url, "--kind", "maintenance", "--json")
    output, errors = await process.communicate()
    report = json.loads(output)
    assert process.returncode == 1
    assert list(report["failed"]) == ["deleted_tasks"]
    assert "steps of the maintenance failed: deleted_tasks" in errors.decode()
    assert (report["job_log"], len(report["dropped"])) == (1, 3)


@pytest.mark.feature("M66")
async def test_sums_of_reports_are_checked(run, owner, team):
    """A sum that is wrong is repaired and told; the next maintenance finds nothing."""
    assert (await run())["reports"]["repaired"] == 0
    await owner.execute("INSERT INTO report_cells VALUES ($1, 'pending', 0, $1, '-infinity', 0, 5, 0)", team.workspace)
    assert (await run())["reports"]["repaired"] == 1
    assert (await run())["reports"]["repaired"] == 0
    assert await owner.fetchval("SELECT repaired FROM report_state") == 1


@pytest.mark.feature("M66")
async def test_events_that_no_sum_holds_stay(run, old, owner, carried, database):
    """However old: while another session sums up, they are kept; and maintenance sums them up itself when it can."""
    await carried()
    await owner.execute("UPDATE report_state SET folded_until = '0', counted_from = '2000-01-01'")
    async with db.connected(database.owner_url) as other, other.transaction():
        await other.execute("SELECT FROM report_state FOR UPDATE")
        report = await run()
        assert (set(report["failed"]), "events_2025_01" in report["dropped"]) == ({"reports"}, False)
    assert (await run())["dropped"] == ["events_2025_01"]
