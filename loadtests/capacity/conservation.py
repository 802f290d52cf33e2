"""The conservation check: every task that was created is found once at each place that it has to reach."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from taskbell.contract.cursors import EventCursor
from taskbell.contract.events import EventType

_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class FeedItem:
    """One event of the change feed. `subject` is its task."""

    cursor: EventCursor
    event: str
    type: str
    subject: str


@dataclass(frozen=True, slots=True)
class Heard:
    """What one listener got: the events' ids as they came, after the cursor of its first welcome."""

    workspace: str
    joined: EventCursor
    events: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was found after the load.

    Attributes:
        attempted: Titles of all tasks that clients tried to create; each title was used for one request.
        acknowledged: Of these, the ones that were answered with 201: title and id.
        rows: Id and title of every task in the database.
        event_rows: Id, type and task of every event about tasks in the database.
        feed: The change feed of each workspace, events about tasks alone.
        heard: What the listeners got, events about tasks alone.
        assigned: How many people a created task was assigned to, by title; without those assigned to nobody.
        notified: How many `assigned` notifications the database holds for each task, or None without that table.
    """

    attempted: set[str]
    acknowledged: Mapping[str, str]
    rows: Sequence[tuple[str, str]]
    event_rows: Sequence[tuple[str, str, str]]
    feed: Mapping[str, Sequence[FeedItem]]
    heard: Sequence[Heard]
    assigned: Mapping[str, int] = field(default_factory=dict)
    notified: Mapping[str, int] | None = None


@dataclass(slots=True)
class Place:
    """The count at one place: what had to be there, what was, how much of it is missing or there too often."""

    name: str
    expected: int
    found: int
    lost: int = 0
    double: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Conservation:
    """The result.

    Attributes:
        created: Tasks in the database that this run's clients created.
        uncertain: Tasks whose creation was tried without an answer of 201; they may exist or not.
        events: Created tasks with a `task.created` in the change feed.
        frames: Created tasks whose `task.created` every listener entitled to it got.
        notifications: `assigned` notifications of the created tasks, or None without that table.
        lost: Missing ones at all places together.
        double: Surplus ones at all places together.
        places: The same place by place.
    """

    created: int
    uncertain: int
    events: int
    frames: int
    notifications: int | None
    lost: int
    double: int
    places: Sequence[Place]

    @property
    def holds(self) -> bool:
        """Whether nothing was lost and nothing came twice."""
        return self.lost == 0 and self.double == 0


def conserve(evidence: Evidence) -> Conservation:
    """Follow every created task from the answer to the row, its event, the feed, the frames and the notifications."""
    rows = _rows(evidence)
    places = [rows, _created_events(evidence), _feed(evidence)]
    frames, complete = _frames(evidence)
    places.append(frames)
    tasks = {task for task, title in evidence.rows if title in evidence.attempted}
    announced = {
        item.subject
        for items in evidence.feed.values()
        for item in items
        if item.type == EventType.TASK_CREATED and item.subject in tasks
    }
    notifications = None
    if evidence.notified is not None:
        place = _notifications(evidence, evidence.notified)
        notifications = place.found
        places.append(place)
    return Conservation(
        created=len(tasks),
        uncertain=len(evidence.attempted) - len(evidence.acknowledged),
        events=len(announced),
        frames=len(announced & complete),
        notifications=notifications,
        lost=sum(place.lost for place in places),
        double=sum(place.double for place in places),
        places=places,
    )


def _compare(name: str, *, expected: Iterable[str], found: Mapping[str, int], strange: str | None = None) -> Place:
    """Each expected one has to be found once; `strange` ones are surplus if they are named, else no matter."""
    wanted = set(expected)
    missing = sorted(wanted - found.keys())
    surplus = {key: times - 1 for key, times in found.items() if key in wanted and times > 1}
    if strange is not None:
        surplus |= {key: times for key, times in found.items() if key not in wanted}
    return Place(
        name=name,
        expected=len(wanted),
        found=sum(times for key, times in found.items() if key in wanted or strange is not None),
        lost=len(missing),
        double=sum(surplus.values()),
        examples=[f"lost: {key}" for key in missing[:_EXAMPLES]]
        + [f"{'double' if key in wanted else strange}: {key}" for key in sorted(surplus)[:_EXAMPLES]],
    )


def _rows(evidence: Evidence) -> Place:
    """Answers of 201 against rows: a task is there under its id, and no request made two."""
    by_id = dict(evidence.rows)
    times = Counter(title for _, title in evidence.rows if title in evidence.attempted)
    expected = {*evidence.acknowledged} | {*times}  # a row without an answer is no loss, and goes on being followed
    place = _compare("task rows", expected=expected, found=times)
    elsewhere = sorted(
        title for title, task in evidence.acknowledged.items() if title in times and by_id.get(task) != title
    )
    place.lost += len(elsewhere)
    place.examples += [f"lost: {title} is not under the id that was answered" for title in elsewhere[:_EXAMPLES]]
    return place


def _created_events(evidence: Evidence) -> Place:
    """Rows of tasks against `task.created` rows of events."""
    missing = set(evidence.acknowledged.values()) - {task for task, _ in evidence.rows}  # counted as lost rows already
    found = Counter(
        subject for _, kind, subject in evidence.event_rows if kind == EventType.TASK_CREATED and subject not in missing
    )
    return _compare("task.created rows", expected=(task for task, _ in evidence.rows), found=found, strange="no task")


def _feed(evidence: Evidence) -> Place:
    """All rows of events against the change feed."""
    found = Counter(item.event for items in evidence.feed.values() for item in items)
    expected = (event for event, _, _ in evidence.event_rows)
    return _compare("events in the change feed", expected=expected, found=found, strange="no row")


def _frames(evidence: Evidence) -> tuple[Place, set[str]]:
    """The feed against each listener's frames; with the tasks whose creation everybody entitled heard of."""
    total = Place("frames at the listeners", expected=0, found=0)
    entitled, missed = set[str](), set[str]()
    unpublished = {event for event, _, _ in evidence.event_rows}
    unpublished -= {item.event for items in evidence.feed.values() for item in items}
    for number, listener in enumerate(evidence.heard, 1):
        items = evidence.feed.get(listener.workspace, ())
        due = {item.event: item for item in items if item.cursor > listener.joined}
        found = Counter(listener.events)
        found.subtract(found.keys() & unpublished)  # the feed lost these; here they are no surplus
        found = +found
        place = _compare("", expected=due, found=found, strange="not entitled")
        total.expected += place.expected
        total.found += len(listener.events)
        total.lost += place.lost
        total.double += place.double
        total.examples += [f"listener {number}, {example}" for example in place.examples]
        entitled |= {item.subject for item in due.values() if item.type == EventType.TASK_CREATED}
        missed |= {
            item.subject for event, item in due.items() if item.type == EventType.TASK_CREATED and event not in found
        }
    del total.examples[_EXAMPLES * 2 :]
    return total, entitled - missed


def _notifications(evidence: Evidence, notified: Mapping[str, int]) -> Place:
    """Assignments of the created tasks against notifications."""
    place = Place("assigned notifications", expected=0, found=0)
    for task, title in evidence.rows:
        if title not in evidence.attempted:
            continue
        expected, found = evidence.assigned.get(title, 0), notified.get(task, 0)
        place.expected += expected
        place.found += found
        place.lost += max(0, expected - found)
        place.double += max(0, found - expected)
        if expected != found and len(place.examples) < _EXAMPLES:
            place.examples.append(f"{task}: {found} of {expected}")
    return place
