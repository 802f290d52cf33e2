"""Sweeps of daily digests: right counts, once for a local date, whatever else runs or was killed."""

import asyncio
import json
import signal
from datetime import UTC, datetime, time, timedelta

import asyncpg
import pytest

from taskbell.kit.ids import new_id
from taskbell.kit.postgres.statements import load
from taskbell.local import db
from taskbell.sweeper.errors import SweepInterrupted
from taskbell.sweeper.policy import Shard
from taskbell.sweeper.repository import connected
from taskbell.sweeper.walk import walk
from taskbell.sweeper.walk_repository import Digests
from taskbell.testing.waiting import eventually

WHOLE = Shard()


async def _nothing():
    return


def noon_zone():
    """A zone in which it is about noon now, so that a local day neither begins nor ends during a test."""
    ahead = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-ahead:+d}"  # POSIX counts westwards


@pytest.fixture
def sweep_digests(database):
    """Runs a sweep of digests in this process."""

    async def run(*, shard=WHOLE, batch_size=100):
        async with connected(database.sweeper_url) as session:
            walker = Digests(session, shard=shard)
            return await walk(walker, kind="digest", batch_size=batch_size, stopping=asyncio.Event(), poke=_nothing)

    return run


@pytest.fixture
def wish(owner):
    """Sets the local time at which a user wants a digest, in a zone where it is noon unless another is named."""

    async def change(user, at=time(8), zone=None):
        await owner.execute(
            "UPDATE users SET digest_at = $2, time_zone = $3 WHERE id = $1", user, at, zone or noon_zone()
        )

    return change


@pytest.fixture
def make_task(owner, team):
    """Makes a task of the team's first member that is due in some hours."""

    async def make(hours, *, assignees=(), status="pending", workspace=None, creator=None):
        await owner.execute(
            "INSERT INTO tasks (workspace_id, title, status, due_at, assignee_ids, created_by)"
            " VALUES ($1, 'T', $2, now() + $3::interval, $4, $5)",
            workspace or team.workspace,
            status,
            None if hours is None else timedelta(hours=hours),
            list(assignees),
            creator or team.members[0],
        )

    return make


@pytest.fixture
def digests(owner):
    """Reads the digests: user and body, in order."""

    async def read():
        return [
            tuple(row)
            for row in await owner.fetch("SELECT user_id, body FROM notifications WHERE kind = 'digest' ORDER BY id")
        ]

    return read


@pytest.fixture
async def elsewhere(owner, team):
    """A second workspace, of the second member alone."""
    workspace = new_id()
    await owner.execute(
        "INSERT INTO workspaces (id, name, created_by) VALUES ($1, 'E', $2)", workspace, team.members[1]
    )
    return workspace


async def _join(owner, user, workspace):
    await owner.execute(
        "INSERT INTO memberships (user_id, workspace_id, role) VALUES ($1, $2, 'member')", user, workspace
    )


async def _notify(owner, user, *, kind="assigned", read=False):
    await owner.execute(
        "INSERT INTO notifications (user_id, kind, workspace_id, title, body, read_at)"
        " SELECT id, $2, personal_workspace_id, 'N', '', CASE WHEN $3 THEN now() END FROM users WHERE id = $1",
        user,
        kind,
        read,
    )


@pytest.mark.feature("P18")
async def test_a_digest_counts_what_is_due_overdue_and_unread(
    team, wish, make_task, digests, sweep_digests, owner, elsewhere
):
    """Open tasks in all workspaces of the user: assigned to them, or created by them and assigned to nobody."""
    ann, ben, _ = team.members
    await _join(owner, ann, elsewhere)
    await make_task(1)
    await make_task(2, assignees=[ann], creator=ben)
    await make_task(3, assignees=[ann, ben], workspace=elsewhere, creator=ben)
    await make_task(-1)
    await make_task(-500, assignees=[ann], status="in_progress", creator=ben)
    for other in (
        {"hours": 1, "assignees": [ben]},
        {"hours": 1, "creator": ben},
        {"hours": 1, "status": "completed"},
        {"hours": -1, "status": "cancelled", "assignees": [ann]},
        {"hours": 24},
        {"hours": 36, "assignees": [ann]},
        {"hours": None},
    ):
        await make_task(**other)
    for _ in range(4):
        await _notify(owner, ann)
    await _notify(owner, ann, read=True)
    await _notify(owner, ann, kind="digest")
    await _notify(owner, ben)
    await wish(ann)
    report = await sweep_digests()
    assert (report.kind, report.walked, report.fired, report.told) == ("digest", 1, 1, 1)
    (row,) = await owner.fetch(
        "SELECT n.*, e.audience, e.data::text AS data FROM notifications n JOIN events e ON e.subject_id = n.id"
    )
    assert (row["kind"], row["title"], row["body"]) == ("digest", "Your day", "3 due today, 2 overdue, 4 unread")
    assert (row["user_id"], row["workspace_id"], row["task_id"]) == (ann, team.workspace, None)
    assert row["audience"] == [ann]
    assert json.loads(row["data"])["kind"] == "digest"


async def test_a_workspace_that_the_user_left_does_not_count(team, wish, make_task, digests, sweep_digests, elsewhere):
    """Tasks stay assigned to who left; they see them no more."""
    ann, ben, _ = team.members
    await make_task(1, assignees=[ann], workspace=elsewhere, creator=ben)
    await make_task(1, workspace=elsewhere, creator=ann)
    await wish(ann)
    assert (await sweep_digests()).told == 0


async def test_who_has_nothing_to_hear_of_is_not_notified(team, wish, make_task, digests, sweep_digests, owner):
    """Nothing due, overdue or unread: no notification on this date, not even when a task comes later."""
    await wish(team.members[0])
    await _notify(owner, team.members[0], kind="digest")
    report = await sweep_digests()
    assert (report.fired, report.told) == (1, 0)
    await make_task(1)
    assert (await sweep_digests()).told == 0


@pytest.mark.feature("H10", "H11", "H12", "H13", "H14")
async def test_a_date_has_one_digest(team, wish, make_task, digests, sweep_digests, owner):
    """Sweeping again tells nobody, nor does a later hour on the same date; the next date tells again."""
    ann = team.members[0]
    await make_task(1)
    await wish(ann)
    assert (await sweep_digests()).told == 1
    assert (await sweep_digests()).told == 0
    await wish(ann, time(9))
    assert (await sweep_digests()).told == 0
    (job,) = await owner.fetch("SELECT job_id, planned_at FROM job_log")
    today = datetime.now(UTC) + timedelta(hours=12 - datetime.now(UTC).hour)
    assert tuple(job) == (f"digest:{ann}:{today.date()}", None)
    await owner.execute("UPDATE job_log SET job_id = $1", f"digest:{ann}:{today.date() - timedelta(days=1)}")
    assert (await sweep_digests()).told == 1


async def test_before_the_time_and_without_a_wish_nothing_comes(team, wish, make_task, sweep_digests):
    """A digest waits for its hour on the user's clock; who did not ask for one is not even looked at."""
    await make_task(1)
    await wish(team.members[0], time(20))
    report = await sweep_digests()
    assert (report.walked, report.fired) == (1, 0)


async def test_a_zone_that_nobody_knows_is_utc(team, wish, make_task, sweep_digests, owner):
    """A name that another release wrote stops no sweep: the user has the digest by UTC."""
    await make_task(-1)
    await wish(team.members[0], time(0), zone="Mars/Olympus")
    assert (await sweep_digests()).told == 1


@pytest.fixture
async def crowd(owner, team, wish):
    """400 users with a digest, each with one unread notification."""
    await owner.execute(
        "INSERT INTO users (id, email, name, personal_workspace_id, time_zone, digest_at)"
        " SELECT uuidv7(), 'c' || n || '@b.example', 'C', $1, $2, make_time(n % 10, 0, 0)"
        " FROM generate_series(1, 400) n",
        team.workspace,
        noon_zone(),
    )
    await owner.execute(
        "INSERT INTO memberships (user_id, workspace_id, role) SELECT id, $1, 'member' FROM users"
        " WHERE digest_at IS NOT NULL",
        team.workspace,
    )
    await owner.execute(
        "INSERT INTO notifications (user_id, kind, workspace_id, title, body)"
        " SELECT id, 'assigned', $1, 'N', '' FROM users WHERE digest_at IS NOT NULL",
        team.workspace,
    )


@pytest.mark.feature("H16")
async def test_shards_and_sweeps_at_once_write_each_digest_once(crowd, digests, sweep_digests):
    """Two whole sweeps, and one in three parts, at the same time, in small steps: 400 users, 400 digests."""
    parts = [WHOLE, WHOLE, *(Shard(number, 3) for number in range(3))]
    reports = await asyncio.gather(*(sweep_digests(shard=shard, batch_size=7) for shard in parts))
    assert sum(report.told for report in reports) == 400
    found = await digests()
    assert len(found) == len({user for user, _ in found}) == 400
    assert {body for _, body in found} == {"1 unread"}


@pytest.mark.feature("H15", "P19")
async def test_a_killed_sweep_is_repeated_and_tells_nobody_twice(database, crowd, digests, sweep_digests, spawn):
    """`taskbell remind --kind digest` is killed in the middle; the next one writes the rest."""
    process = await spawn(database.sweeper_url, "--kind", "digest", TASKBELL_REMINDER_BATCH_SIZE="2")

    async def count():
        return len(await digests())

    await eventually(count, "digests", wanted=lambda found: found >= 20)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    await sweep_digests()
    assert await count() == len({user for user, _ in await digests()}) == 400


@pytest.mark.feature("H15")
async def test_all_of_a_step_commits_or_nothing(crowd, digests, sweep_digests, owner):
    """Where one digest cannot be written nobody of the step is in the log, and the next sweep writes them all."""
    await owner.execute("ALTER TABLE notifications ADD CONSTRAINT broken CHECK (kind <> 'digest') NOT VALID")
    with pytest.raises(SweepInterrupted, match="broken"):
        await sweep_digests(batch_size=1000)
    assert await owner.fetchval("SELECT count(*) FROM job_log") == 0
    await owner.execute("ALTER TABLE notifications DROP CONSTRAINT broken")
    assert (await sweep_digests()).told == 400


async def test_a_step_seeks_its_users(crowd, database):
    """The index of those who want a digest gives the next ones in order; no other user is read."""
    statement = load("taskbell.sweeper", "select_digests")
    named = {"after_at": time(5), "after_id": new_id(), "at_most": 10, "shard": 0, "shards": 1}
    async with db.connected(database.sweeper_url) as connection:
        text = await connection.fetchval("EXPLAIN (FORMAT JSON) " + statement.text, *statement.arguments(named))
    assert "users_digest_at_idx" in text
    assert "ROW(digest_at, id) >" in text
    assert '"Sort"' not in text


async def test_the_sweeper_learns_of_a_user_no_more_than_when(team, wish, owner, database):
    """Of those who want a digest it reads the hour, the zone and the workspace; no address, and nobody else."""
    await wish(team.members[0])
    async with db.connected(database.sweeper_url) as sweeper:
        assert await sweeper.fetch("SELECT id, digest_at, time_zone, personal_workspace_id FROM users")
        assert await sweeper.fetchval("SELECT count(id) FROM users") == 1
        for secret in ("SELECT email FROM users", "SELECT * FROM assignments", "SELECT * FROM memberships"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await sweeper.fetch(secret)
    async with db.connected(database.api_url) as api:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await api.fetch("SELECT * FROM taskbell.day_counts($1, now())", team.members[0])
