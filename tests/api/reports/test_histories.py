"""Whatever people did, every report tells exactly that, however much of it is summed up already."""

import math
from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from histories import OPEN, counted, durations, span
from taskbell.local import db

_DONE = ("created", "completed", "reopened", "cancelled", "deleted")
_DURATION = TypeAdapter(timedelta)
_EDGES = [datetime(2026, 3, 28, 20, tzinfo=UTC), datetime(2026, 10, 24, 20, tzinfo=UTC)]
_ZONES = ["UTC", "Europe/Berlin", "America/Santiago", "Asia/Kathmandu", "Australia/Lord_Howe"]
_STATUS = st.sampled_from(["pending", "in_progress", "completed", "cancelled"])
_PEOPLE = st.lists(st.integers(0, 2), unique=True, max_size=3)
_DUE = st.one_of(
    st.none(),
    st.integers(-200, 200).map(lambda hours: timedelta(hours=hours, minutes=-3)),
    st.integers(-20, -1).map(lambda minutes: timedelta(minutes=minutes)),
    st.just(timedelta(seconds=-1)),  # in this quarter of an hour, of which no sum tells
)
_NEW = st.fixed_dictionaries({"assignees": _PEOPLE, "due_at": _DUE, "status": _STATUS})
_CHANGE = st.fixed_dictionaries({}, optional={"status": _STATUS, "assignees": _PEOPLE, "due_at": _DUE})
_STEP = st.one_of(
    st.tuples(st.just("create"), st.integers(0, 2), _NEW),
    st.tuples(st.just("change"), st.integers(0, 2), _CHANGE),
    st.tuples(st.just("change"), st.integers(0, 2), _CHANGE),
    st.tuples(st.just("change"), st.integers(0, 2), _CHANGE),
    st.tuples(st.just("delete"), st.integers(0, 2), st.just({})),
    st.tuples(st.just("fold"), st.integers(1, 5), st.just({})),
)
_STEPS = st.lists(st.tuples(_STEP, st.integers(1, 500), st.integers(0, 99)), min_size=5, max_size=40)


async def _begin(owner, write, who):
    """A workspace in which nothing has happened."""
    await owner.execute("DELETE FROM tasks")
    await owner.execute("DELETE FROM events")
    await owner.execute("DELETE FROM report_cells")
    return write(who.workspace_id)


async def _play(history, people, fold, steps, *, start, now):
    """Do what the steps say, some minutes apart."""
    at = start
    for (kind, number, given_), minutes, which in steps:
        at += timedelta(minutes=minutes)
        fields = dict(given_)
        if "assignees" in fields:
            fields["assignees"] = [people[each] for each in fields["assignees"]]
        if fields.get("due_at") is not None:
            fields["due_at"] = now + fields["due_at"]
        if kind == "fold":
            await fold(number)
        elif kind == "create":
            await history.create(people[number], at=at, **fields)
        elif history.tasks:
            task = history.tasks[which % len(history.tasks)]
            if kind == "change":
                await history.change(people[number], task, at=at, **fields)
            else:
                await history.delete(people[number], task, at=at)
    return at


async def _read(who, path, **params):
    items, cursor = [], {}
    while True:
        page = (await who.request("GET", f"/reports/{path}", status=200, params=params | cursor)).json()
        items += page["items"]
        if not page["meta"]["has_more"]:
            return items, page["total"]
        cursor = {"cursor": page["meta"]["next_cursor"]}


def _plain(counts):
    return {measure: counts[measure] for measure in _DONE}


def _is_spread(told, exact):
    """Whether a report of durations is what these are."""
    if told["tasks"] != len(exact):
        return False
    if not exact:
        return (told["mean"], told["median"], told["p90"]) == (None, None, None)
    mean = sum(took // timedelta(milliseconds=1) for took in exact) / len(exact)
    return abs(_DURATION.validate_python(told["mean"]) / timedelta(milliseconds=1) - mean) <= 1 and all(
        abs(_DURATION.validate_python(told[name]) - exact[math.ceil(len(exact) * part) - 1])
        <= 0.05 * exact[math.ceil(len(exact) * part) - 1] + timedelta(milliseconds=1)
        for name, part in (("median", 0.5), ("p90", 0.9))
    )


async def _check(who, history, people, *, first, last, zone, now):
    clock = ZoneInfo(zone)
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    spans = {day: span(day, clock) for day in days}
    whole = {"since": spans[first][0], "until": spans[last][1]}
    asked = {"from": str(first), "to": str(last), "time_zone": zone, "limit": 3}
    for person in (None, people[1]):
        subject = {} if person is None else {"person_id": str(person)}
        items, total = await _read(who, "throughput", by="day", **asked, **subject)
        assert total == _plain(counted(history.happened, **whole, who=person))
        assert [item["day"] for item in items] == [str(day) for day in days]
        for item in items:
            since, until = spans[date.fromisoformat(item["day"])]
            told = _plain(counted(history.happened, since=since, until=until, who=person))
            assert {measure: item[measure] for measure in _DONE} == told
        items, total = await _read(who, "cycle-time", by="day", **asked, **subject)
        assert _is_spread(total, durations(history.happened, **whole, who=person))
        for item in items:
            since, until = spans[date.fromisoformat(item["day"])]
            assert _is_spread(item, durations(history.happened, since=since, until=until, who=person))
    items, _ = await _read(who, "throughput", by="person", **asked)
    told = {UUID(item["person_id"]): {measure: item[measure] for measure in _DONE} for item in items}
    exact = {person: _plain(counted(history.happened, **whole, who=person)) for person in people}
    assert told == {person: counts for person, counts in exact.items() if any(counts.values())}
    items, _ = await _read(who, "cycle-time", by="person", **asked)
    told = {UUID(item["person_id"]): item for item in items}
    exact = {person: durations(history.happened, **whole, who=person) for person in people}
    assert set(told) == {person for person, took in exact.items() if took}
    assert all(_is_spread(item, exact[person]) for person, item in told.items())
    await _check_open(who, history, people, zone=zone, now=now)


async def _check_open(who, history, people, *, zone, now):
    tasks = [task for task in history.tasks if task.status in OPEN]
    late = [task for task in tasks if task.due_at is not None and task.due_at <= now]

    def of(person, among):
        return [task for task in among if person in task.assignees or (person is None and not task.assignees)]

    def summed(among):
        status = [task.status for task in among]
        past = [task for task in among if task in late]
        return {"open": len(status), "overdue": len(past)} | {each: status.count(each) for each in OPEN}

    items, total = await _read(who, "workload", limit=2)
    assert total == summed(tasks)
    exact = {person and str(person): summed(of(person, tasks)) for person in (*people, None) if of(person, tasks)}
    assert {item.pop("person_id"): item for item in items} == exact
    items, total = await _read(who, "overdue", by="person", limit=2)
    assert total == len(late)
    exact = {person and str(person): len(of(person, late)) for person in (*people, None) if of(person, late)}
    assert {item["person_id"]: item["overdue"] for item in items} == exact
    items, total = await _read(who, "overdue", by="day", time_zone=zone, limit=100)
    assert total == len(late)
    on = [task.due_at.astimezone(ZoneInfo(zone)).date() for task in late]
    assert [item["overdue"] for item in items] == [on.count(date.fromisoformat(item["day"])) for item in items]


@pytest.mark.feature("M66", "M67")
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=_STEPS, start=st.sampled_from(_EDGES), zone=st.sampled_from(_ZONES))
async def test_reports_tell_what_happened(owner, ann, bob, cid, write, fold, steps, start, zone):
    """Over changes of the clock, with any part folded, all four reports by day and person are a plain count's."""
    who, people = ann, [UUID(each.user_id) for each in (ann, bob, cid)]
    history = await _begin(owner, write, who)
    now = await owner.fetchval("SELECT now()")
    at = await _play(history, people, fold, steps, start=start, now=now)
    first, last = (start - timedelta(days=1)).date(), (at + timedelta(days=1)).date()
    await _check(who, history, people, first=first, last=last, zone=zone, now=now)
    await fold()
    await _check(who, history, people, first=first, last=last, zone=zone, now=now)


async def test_durations_are_spread_exactly(ann, write, fold):
    """Of ten tasks that took 1, 2 ... 10 hours, five took at most 5 and nine at most 9, before and after a fold."""
    history, start = write(ann.workspace_id), datetime(2026, 3, 1, tzinfo=UTC)
    for hours in range(1, 11):
        task = await history.create(UUID(ann.user_id), at=start)
        await history.change(UUID(ann.user_id), task, at=start + timedelta(hours=hours), status="completed")
    for _ in range(2):
        (item,), total = await _read(ann, "cycle-time", **{"from": "2026-03-01", "to": "2026-03-01"}, time_zone="UTC")
        assert _is_spread(item, [timedelta(hours=hours) for hours in range(1, 11)])
        assert total.items() <= item.items()
        await fold()


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=_STEPS)
async def test_a_check_finds_nothing_wrong_and_repairs_what_is(owner, ann, bob, cid, write, fold, steps):
    """Whatever sums were changed, deleted or invented: a check restores every one, and the next one finds nothing."""
    who, people = ann, [UUID(each.user_id) for each in (ann, bob, cid)]
    history = await _begin(owner, write, who)
    now = await owner.fetchval("SELECT now()")
    start = datetime(now.year, now.month, now.day, tzinfo=UTC) - timedelta(days=3)
    at = await _play(history, people, fold, steps, start=start, now=now)
    await fold()
    until = datetime(at.year, at.month, at.day, tzinfo=UTC) + timedelta(days=1)
    check = "SELECT taskbell.check_reports($1, $2)"
    assert await owner.fetchval(check, start, until) == 0
    right = await owner.fetch("SELECT * FROM report_cells WHERE amount <> 0 ORDER BY 1, 2, 3, 4, 5, 6")
    await owner.execute(
        "UPDATE report_cells SET amount = amount + 3 WHERE hashtext(person_id::text || start_at) % 3 = 0"
    )
    await owner.execute("DELETE FROM report_cells WHERE hashtext(start_at::text || measure) % 3 = 0")
    await owner.execute(
        "INSERT INTO report_cells VALUES ($1, 'completed', 15, $1, $2, 0, 7, 0), ($1, 'pending', 15, $1, $2, 0, 7, 0)",
        UUID(who.workspace_id),
        start,
    )
    assert await owner.fetchval(check, start, until) >= 2
    assert await owner.fetch("SELECT * FROM report_cells WHERE amount <> 0 ORDER BY 1, 2, 3, 4, 5, 6") == right
    assert await owner.fetchval(check, start, until) == 0


@pytest.mark.feature("M66")
async def test_the_apis_own_events_are_read(ann, bob, cid, owner, fold):
    """What people do through the API is what reports tell, before and after it is folded."""
    task = await ann.create(assignee_ids=[bob.user_id, cid.user_id], due_at="2020-01-01T00:00:00Z")
    other = await bob.create(workspace_id=ann.workspace_id)
    done = await cid.create(workspace_id=ann.workspace_id, status="completed")
    await bob.patch(task, status="completed", assignee_ids=[bob.user_id], due_at=None, title="Another")
    await bob.patch(task, status="in_progress")
    await cid.patch(other, status="completed")
    await cid.patch(other, status="cancelled")
    await ann.request("DELETE", f"/tasks/{done['id']}", status=204)
    await ann.patch(task, due_at="2021-01-01T00:00:00Z", assignee_ids=[])
    for _ in range(2):
        day, total = await _read(ann, "throughput", workspace_id=ann.workspace_id)
        assert total == {"created": 3, "completed": 3, "reopened": 1, "cancelled": 1, "deleted": 1}
        assert sum(item["completed"] for item in day) == 3
        items, _ = await _read(bob, "throughput", by="person", workspace_id=ann.workspace_id)
        found = {item["person_id"]: tuple(item[measure] for measure in _DONE) for item in items}
        assert found == {ann.user_id: (1, 0, 0, 0, 1), bob.user_id: (1, 1, 1, 0, 0), cid.user_id: (1, 2, 0, 1, 0)}
        _, total = await _read(cid, "cycle-time", workspace_id=ann.workspace_id)
        assert total["tasks"] == 2
        items, total = await _read(ann, "workload")
        assert items == [{"person_id": None, "open": 1, "pending": 0, "in_progress": 1, "overdue": 1}]
        assert total == {"open": 1, "pending": 0, "in_progress": 1, "overdue": 1}
        assert (await _read(ann, "overdue"))[1] == 1
        await fold()
    assert await owner.fetchval("SELECT count(*) FROM taskbell.report_miscounts()") == 0


async def test_an_event_that_is_no_task_stops_nothing(ann, database, fold, write):
    """One that cannot be read is passed over; those after it are counted."""
    async with db.connected(database.owner_url) as connection:
        for data in ("{}", "[]", '"text"', '{"id": "x"}'):
            await connection.execute(
                "INSERT INTO events (workspace_id, type, subject_id, audience, data)"
                " VALUES ($1, 'task.created', $1, '{}', $2)",
                UUID(ann.workspace_id),
                data,
            )
    await ann.create()
    for _ in range(2):
        assert (await _read(ann, "throughput"))[1]["created"] == 1
        await fold()
