"""The conservation check can fail: whatever is missing or there twice, at any place, is counted exactly."""

import dataclasses

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskbell.capacity import journal
from taskbell.capacity.conservation import conserve
from taskbell.capacity.evidence import EventRow, Evidence, FeedItem, Heard, Notice, Promised, TaskRow, owed
from taskbell.capacity.journal import Journal, Note
from taskbell.contract.cursors import EventCursor

EVENTS = {"task.created": 1, "task.assigned": 1, "task.updated": 2}
"""What happens to every task, with the version that it has then."""


def _task_events(number: int, workspace: str, mate: str) -> list[EventRow]:
    return [
        EventRow(
            id=f"event-{number}-{kind}",
            type=kind,
            subject=f"task-{number}",
            workspace=workspace,
            title=f"run-{number}",
            version=version,
            owes=[(mate, "assigned")] if kind == "task.assigned" else [],
        )
        for kind, version in EVENTS.items()
    ]


def _world(tasks: int = 3, *, teams: int = 2, listeners: int = 1) -> Evidence:
    """Every task was created for the mate, changed once, and reached everybody: owner and mate of its team."""
    members = {f"{who}-{team}": f"w{team}" for team in range(teams) for who in ("owner", "mate")}
    event_rows, notices = [], []
    for number in range(tasks):
        team = number % teams
        mate, notice = f"mate-{team}", f"notice-{number}"
        event_rows += _task_events(number, f"w{team}", mate)
        notices.append(Notice(notice, mate, f"task-{number}", "assigned", is_read=True))
        event_rows += [
            EventRow(id=f"{kind}-{number}", type=kind, subject=notice, workspace=f"w{team}", personal_to=mate)
            for kind in ("notification.created", "notification.read")
        ]
    feeds = {
        user: [
            FeedItem(EventCursor(1, 10 + place), row.id)
            for place, row in enumerate(event_rows)
            if row.personal_to == user or (row.personal_to is None and row.workspace == workspace)
        ]
        for user, workspace in members.items()
    }
    return Evidence(
        promised=Promised(
            attempted={f"run-{number}" for number in range(tasks)},
            created={f"run-{number}": f"task-{number}" for number in range(tasks)},
            versions={(f"task-{number}", 2) for number in range(tasks)},
            read={f"notice-{number}" for number in range(tasks)},
        ),
        members=members,
        rows=[TaskRow(f"task-{number}", f"run-{number}", 2) for number in range(tasks)],
        notices=notices,
        event_rows=event_rows,
        feeds=feeds,
        heard=[
            Heard(user, EventCursor(1, 5), [item.event for item in items])
            for user, items in feeds.items()
            for _ in range(listeners)
        ],
    )


def _found(**changes):
    """The result for the world with something changed, and what each place lost and has double."""
    found = conserve(dataclasses.replace(_world(), **changes))
    return found, {place.name: (place.lost, place.double) for place in found.places if place.lost or place.double}


def _promised(**changes):
    return dataclasses.replace(_world().promised, **changes)


@given(tasks=st.integers(0, 20), teams=st.integers(1, 4), listeners=st.integers(1, 3))
def test_a_whole_world_is_conserved(tasks, teams, listeners):
    """Where everything arrived once, all counts are equal and nothing is lost or double."""
    found = conserve(_world(tasks, teams=teams, listeners=listeners))
    assert found.holds, found
    assert found.created == found.events == found.frames == found.notifications == tasks
    assert found.uncertain == 0
    assert all(place.expected == place.found for place in found.places)


def _repeated(data, values):
    """Each value so many times, in any order; how many are missing, and how many are surplus."""
    times = [data.draw(st.integers(0, 3)) for _ in values]
    repeated = [value for value, number in zip(values, times, strict=True) for _ in range(number)]
    return data.draw(st.permutations(repeated)), times.count(0), sum(number - 1 for number in times if number > 1)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_frames_are_counted_exactly(data):
    """However many frames are taken away or repeated: just so many are lost, and just so many are double."""
    world = _world(data.draw(st.integers(1, 5)), listeners=2)
    heard, lost, double = [], 0, 0
    for listener in world.heard:
        events, missing, surplus = _repeated(data, listener.events)
        heard.append(dataclasses.replace(listener, events=events))
        lost, double = lost + missing, double + surplus
    found = conserve(dataclasses.replace(world, heard=heard))
    assert (found.lost, found.double) == (lost, double)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_feeds_are_counted_exactly(data):
    """The same for events that are missing in a feed or stand there twice, whether listeners got them or not."""
    world = _world(data.draw(st.integers(1, 5)))
    feeds, lost, double = {}, 0, 0
    for user, items in world.feeds.items():
        feeds[user], missing, surplus = _repeated(data, items)
        lost, double = lost + missing, double + surplus
    found = conserve(dataclasses.replace(world, feeds=feeds))
    assert (found.lost, found.double) == (lost, double)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_notifications_are_counted_exactly(data):
    """The same for notifications; and one that is missing is missing once, whatever else should follow from it."""
    world = _world(data.draw(st.integers(1, 5)))
    notices, lost, double = _repeated(data, world.notices)
    place = next(p for p in conserve(dataclasses.replace(world, notices=notices)).places if p.name == "notifications")
    assert (place.lost, place.double) == (lost, double)


def _without_one(world: Evidence):
    """The world without one of its things, and with one of them twice: each once."""
    for name in ("rows", "notices", "event_rows"):
        things = getattr(world, name)
        for place, thing in enumerate(things):
            yield dataclasses.replace(world, **{name: [*things[:place], *things[place + 1 :]]})
            yield dataclasses.replace(world, **{name: [*things, dataclasses.replace(thing, id=f"{thing.id}-again")]})
    for event in world.event_rows:  # as if it had never been written
        feeds = {user: [item for item in items if item.event != event.id] for user, items in world.feeds.items()}
        heard = [dataclasses.replace(one, events=[e for e in one.events if e != event.id]) for one in world.heard]
        rows = [row for row in world.event_rows if row is not event]
        yield dataclasses.replace(world, event_rows=rows, feeds=feeds, heard=heard)
    for user, items in world.feeds.items():
        for place, item in enumerate(items):
            yield dataclasses.replace(world, feeds={**world.feeds, user: [*items[:place], *items[place + 1 :]]})
            yield dataclasses.replace(world, feeds={**world.feeds, user: [*items, item]})


def test_whatever_is_missing_or_there_twice_is_found():
    """No single row, notification, event or item of a feed can be taken away or repeated without a verdict."""
    worlds = list(_without_one(_world()))
    assert len(worlds) > 50
    assert [changed for changed in worlds if conserve(changed).holds] == []


def test_an_acknowledged_task_without_a_row_is_lost():
    """A 201 is a promise; a row under another id breaks it as well."""
    whole = _world().promised
    more = _promised(attempted=whole.attempted | {"run-9"}, created={**whole.created, "run-9": "task-9"})
    assert _found(promised=more)[1] == {"tasks": (1, 0)}
    assert _found(promised=_promised(created={**whole.created, "run-1": "task-0"}))[1] == {"tasks": (1, 0)}
    vanished, places = _found(rows=_world().rows[1:])
    assert places == {"tasks": (1, 0)}
    assert vanished.created == 2


def test_a_request_that_made_two_tasks_is_double():
    """Titles are used once, so a second row with one is a second task; its own missing event is found too."""
    _, places = _found(rows=[*_world().rows, TaskRow("task-9", "run-0", 1)])
    assert places == {"tasks": (0, 1), "events of tasks": (1, 0)}


def test_a_task_without_an_answer_may_exist_or_not():
    """A creation that timed out is uncertain: its row is no surplus, its absence no loss; if it exists, it counts."""
    whole = _world().promised
    kept = {title: task for title, task in whole.created.items() if title != "run-2"}
    found, places = _found(promised=_promised(attempted=whole.attempted | {"run-9"}, created=kept))
    assert places == {}
    assert (found.uncertain, found.created) == (2, 3)


def test_a_change_that_was_answered_and_is_not_there_is_lost():
    """So are a deleted task that is there, and a read notification that is unread."""
    assert _found(promised=_promised(versions={("task-0", 3)}))[1] == {"changes": (1, 0)}
    assert _found(promised=_promised(deleted={"task-0"}))[1] == {"changes": (1, 0)}
    unread = [dataclasses.replace(notice, is_read=False) for notice in _world().notices[:1]]
    assert _found(notices=unread + _world().notices[1:])[1]["changes"] == (1, 0)


def test_a_version_without_its_event_is_lost_and_a_second_event_is_double():
    """Each version of a task was made by a change that tells of itself, once; an event of no version is a surplus."""
    rows = _world().event_rows
    assert _found(event_rows=[row for row in rows if row.version != 2])[1]["events of tasks"] == (3, 0)
    assert _found(event_rows=[row for row in rows if row.type != "task.created"])[1]["events of tasks"] == (3, 0)
    again = dataclasses.replace(rows[0], id="event-again")
    assert _found(event_rows=[*rows, again])[1]["events of tasks"] == (0, 1)
    later = dataclasses.replace(rows[0], id="event-later", version=3)
    assert _found(event_rows=[*rows, later])[1]["events of tasks"] == (0, 1)


def test_a_deleted_task_was_created_and_is_followed():
    """Its event of deletion stands for its row: it still needs its events, frames and notification."""
    world = _world()
    end = EventRow(
        id="event-end", type="task.deleted", subject="task-0", workspace="w0", title="run-0", version=2, owes=()
    )
    feeds = {
        user: [*items, FeedItem(EventCursor(1, 99), "event-end")] if world.members[user] == "w0" else items
        for user, items in world.feeds.items()
    }
    heard = [dataclasses.replace(one, events=[item.event for item in feeds[one.user]]) for one in world.heard]
    changes = {"rows": world.rows[1:], "event_rows": [*world.event_rows, end], "feeds": feeds, "heard": heard}
    found, places = _found(**changes, promised=_promised(deleted={"task-0"}))
    assert places == {}
    assert found.created == found.events == found.frames == found.notifications == 3
    silent = [row for row in changes["event_rows"] if row.id != "event-0-task.updated"]
    assert _found(**{**changes, "event_rows": silent})[1]["events of tasks"] == (1, 0)


def test_a_lost_notification_is_lost_once():
    """One row that is missing takes its event with it; a notification without its event, or with two, is found too."""
    world = _world()
    created = next(row for row in world.event_rows if row.type == "notification.created")
    without = [row for row in world.event_rows if row is not created]
    assert _found(event_rows=without)[1]["events of notifications"] == (1, 0)
    twice = [*world.event_rows, dataclasses.replace(created, id="again")]
    assert _found(event_rows=twice)[1]["events of notifications"] == (0, 1)
    found, places = _found(notices=world.notices[1:])
    assert places == {"notifications": (1, 0), "events of notifications": (0, 2)}  # events of what is no more
    assert found.notifications == 2
    unasked = Notice("notice-9", "owner-0", "task-0", "assigned")
    assert _found(notices=[*world.notices, unasked])[1]["notifications"] == (0, 1)


def test_a_reminder_comes_by_the_clock_and_once():
    """No event owes a due reminder; a second one of the same task for the same person is double."""
    reminders = [Notice(f"due-{number}", "mate-0", "task-0", "due_soon") for number in range(2)]
    assert "notifications" not in _found(notices=[*_world().notices, reminders[0]])[1]
    assert _found(notices=[*_world().notices, *reminders])[1]["notifications"] == (0, 1)


def test_a_notification_is_for_one_person_alone():
    """In somebody else's feed, or at somebody else's listener, it is a surplus."""
    world = _world()
    feeds = {**world.feeds, "owner-0": [*world.feeds["owner-0"], world.feeds["mate-0"][3]]}
    assert _found(feeds=feeds)[1] == {"events in the change feeds": (0, 1), "frames at the listeners": (1, 0)}
    nosy = dataclasses.replace(world.heard[0], events=[*world.heard[0].events, "notification.created-0"])
    found, places = _found(heard=[nosy, *world.heard[1:]])
    assert places == {"frames at the listeners": (0, 1)}
    assert "not entitled" in found.places[-1].examples[0]


def test_a_listener_is_owed_what_came_after_its_welcome():
    """What was before it is a surplus, and without it nothing is missing."""
    world = _world()
    late = dataclasses.replace(world.heard[0], joined=EventCursor(1, 10))
    assert _found(heard=[late, *world.heard[1:]])[1] == {"frames at the listeners": (0, 1)}
    later = dataclasses.replace(late, events=world.heard[0].events[1:])
    assert _found(heard=[later, *world.heard[1:]])[0].holds


def test_frames_that_nobody_can_count_are_not_taken_for_counted():
    """If the listeners died there is no number of frames, and the rest is counted."""
    found, places = _found(heard=None)
    assert (found.frames, found.events, places) == (None, 3, {})


@pytest.mark.parametrize(
    ("kind", "actor", "owes"),
    [
        ("task.assigned", "ann", {("bob", "assigned")}),
        ("task.assigned", "bob", set()),
        ("task.status_changed", "ann", {("bob", "status_changed"), ("cleo", "status_changed")}),
        ("task.status_changed", None, {(who, "status_changed") for who in ("ann", "bob", "cleo")}),
        ("task.updated", "ann", set()),
    ],
)
def test_changes_owe_notifications_to_others(kind, actor, owes):
    """The newly assigned; creator and assignees when the status changes; never the one who did it."""
    data = {"created_by": "cleo", "assignee_ids": ["ann", "bob"], "previous": {"assignee_ids": ["ann"]}}
    assert set(owed(kind, data, actor)) == owes


def test_a_journal_outlives_its_writer(tmp_path):
    """What was flushed counts, half a line does not; a task in the database was attempted, lines or not."""
    path = tmp_path / "journal.jsonl"
    writing = Journal(path)
    writing.note(Note.ATTEMPTED, "run-0")
    writing.note(Note.CREATED, "run-0", "task-0")
    writing.note(Note.CHANGED, "task-0", 2)
    writing.note(Note.DELETED, "task-0")
    writing.note(Note.READ, "notice-0")
    writing.note(Note.DUE, "task-2", "ann", 1700.0)
    writing.note(Note.FAILED, "get", 500, "HTTPError", 10.0, 11.0)
    writing.note(Note.FAILED, "list", 0, "TimeoutError", 10.0, 20.0)
    writing.note(Note.FAILED, "get", 500, "HTTPError", 10.5, 10.7)
    writing.close()
    with path.open("ab") as file:
        file.write(orjson.dumps([Note.DELETED, "task-1"])[:-3])
    told = journal.read(path, run="run", titles={"run-7", "other-1"})
    assert told.promised == Promised(
        attempted={"run-0", "run-7"},
        created={"run-0": "task-0"},
        versions={("task-0", 2)},
        deleted={"task-0"},
        read={"notice-0"},
        due={("task-2", "ann"): 1700.0},
    )
    assert journal.summed(told.failures) == [
        {"kind": "get", "status": 500, "reason": "HTTPError", "count": 2, "first": 10.0, "last": 11.0},
        {"kind": "list", "status": 0, "reason": "TimeoutError", "count": 1, "first": 10.0, "last": 20.0},
    ]
    assert journal.last_due(path) == 1700.0
    assert journal.read(tmp_path / "none", run="run", titles=set()).promised.attempted == set()
