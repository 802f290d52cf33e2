"""The conservation check: everything accepted is found exactly once at each place that it must reach.

Each place is compared with the one before, so that nothing is counted twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from taskbell.capacity.evidence import ASSIGNED, BY_CLOCK, OVERDUE, EventRow, Evidence
from taskbell.contract.events import EventType

_EXAMPLES = 5


@dataclass(slots=True)
class Place:
    """The count at one place: how much was expected, found, lost and double."""

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
        created: Tasks that this run's clients created, also those that they deleted later.
        uncertain: Tasks whose creation got no answer of 201; they may exist or not.
        events: Created tasks with a `task.created` in the change feed of everybody entitled.
        frames: Of these, the ones whose `task.created` reached every listener entitled to it; None if unknown.
        notifications: Created tasks with an `assigned` notification that reached the assignee's feed and listeners;
            None if the run's users assign tasks to nobody else.
        lost: The sum of all places.
        double: The sum of all places.
        places: The counts by place.
    """

    created: int
    uncertain: int
    events: int
    frames: int | None
    notifications: int | None
    lost: int
    double: int
    places: Sequence[Place]

    @property
    def holds(self) -> bool:
        """Whether nothing was lost and nothing came twice."""
        return self.lost == 0 and self.double == 0


def conserve(evidence: Evidence) -> Conservation:
    """Compare answers, rows, events, notifications, feeds and frames."""
    counted = _Counted(evidence)
    unheard_of = counted.missing_in_feeds | counted.missing_at_listeners
    tasks = {task for task, title in counted.titles.items() if title in evidence.promised.attempted}
    created = {event.subject: event.id for event in evidence.event_rows if event.type == EventType.TASK_CREATED}
    about = {event.subject: event.id for event in evidence.event_rows if event.type == EventType.NOTIFICATION_CREATED}
    told = {
        notice.task
        for notice in evidence.notices
        if notice.kind == ASSIGNED and notice.id in about and about[notice.id] not in unheard_of
    }
    places = counted.places()
    return Conservation(
        created=len(tasks),
        uncertain=len(evidence.promised.attempted) - len(evidence.promised.created),
        events=sum(task in created and created[task] not in counted.missing_in_feeds for task in tasks),
        frames=None
        if evidence.heard is None
        else sum(task in created and created[task] not in unheard_of for task in tasks),
        notifications=len(told & tasks) if evidence.has_mates else None,
        lost=sum(place.lost for place in places),
        double=sum(place.double for place in places),
        places=places,
    )


def _compare(
    name: str, *, expected: Iterable[str], found: Mapping[str, int], strange: str | None = None
) -> tuple[Place, set[str]]:
    """Check that each expected key is found once; also return the missing keys.

    Other keys are surplus and called `strange`; without that name they are ignored.
    """
    wanted = set(expected)
    missing = wanted - found.keys()
    surplus = {key: times - 1 for key, times in found.items() if key in wanted and times > 1}
    if strange is not None:
        surplus |= {key: times for key, times in found.items() if key not in wanted}
    place = Place(
        name=name,
        expected=len(wanted),
        found=sum(times for key, times in found.items() if key in wanted or strange is not None),
        lost=len(missing),
        double=sum(surplus.values()),
        examples=[f"lost: {key}" for key in sorted(missing)[:_EXAMPLES]]
        + [f"{'double' if key in wanted else strange}: {key}" for key in sorted(surplus)[:_EXAMPLES]],
    )
    return place, missing


class _Counted:
    """The places of one run's evidence."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._promised = evidence.promised
        self._gone = {row.subject: row for row in evidence.event_rows if row.type == EventType.TASK_DELETED}
        self._rows = {row.id: row for row in evidence.rows}
        self.titles = {row.subject: row.title for row in self._gone.values()} | {
            row.id: row.title for row in self._rows.values()
        }
        """Every task that there is or was."""
        self._missing: dict[str, set[str]] = {}
        self.missing_at_listeners = set[str]()
        """Events of a user's feed that a listener of the user did not receive."""
        self._feeds = self._count_feeds()
        self._frames = None if evidence.heard is None else self._count_frames()

    @cached_property
    def missing_in_feeds(self) -> set[str]:
        """Events that are missing from a feed."""
        return set[str]().union(*self._missing.values())

    def places(self) -> list[Place]:
        """All places, in the order in which things reach them."""
        found = [self._tasks(), self._changes(), self._task_events(), self._notifications()]
        found += [self._notification_events(), self._feeds]
        if self._promised.due:
            found.insert(-2, self._reminders())
        return found if self._frames is None else [*found, self._frames]

    def _version(self, task: str) -> int:
        row = self._rows.get(task) or self._gone.get(task)
        return 0 if row is None else row.version

    def _tasks(self) -> Place:
        """Compare answers of 201 with tasks: each exists under the answered id or was deleted, and none twice."""
        promised = self._promised
        times = Counter(title for title in self.titles.values() if title in promised.attempted)
        expected = {*promised.created} | {*times}  # a task without an answer is not lost, and is followed too
        place, _ = _compare("tasks", expected=expected, found=times)
        elsewhere = sorted(
            title for title, task in promised.created.items() if title in times and self.titles.get(task) != title
        )
        place.lost += len(elsewhere)
        place.examples += [f"lost: {title} is not under the id that was answered" for title in elsewhere[:_EXAMPLES]]
        return place

    def _changes(self) -> Place:
        """Compare answers to changes with rows: a task has at least the answered version, a deleted one is gone.

        Missing rows count as lost tasks instead.
        """
        is_read = {notice.id: notice.is_read for notice in self._evidence.notices}
        is_kept = {
            f"{task} version {version}": self._version(task) >= version
            for task, version in self._promised.versions
            if task in self.titles
        }
        is_kept |= {f"{task} deleted": task not in self._rows for task in self._promised.deleted}
        is_kept |= {f"{notice} read": is_read[notice] for notice in self._promised.read if notice in is_read}
        return _compare("changes", expected=is_kept, found={change: 1 for change in is_kept if is_kept[change]})[0]

    @cached_property
    def _distinct(self) -> dict[tuple[str, int, str], EventRow]:
        """One event for each type, task and version."""
        return {(row.subject, row.version, row.type): row for row in self._evidence.event_rows if row.version}

    def _task_events(self) -> Place:
        """Compare versions of tasks with rows of events: each version has its event."""
        lost_rows = {task for task in self._promised.created.values() if task not in self.titles}  # counted as tasks
        of_tasks = [row for row in self._evidence.event_rows if row.version and row.subject not in lost_rows]
        expected = [f"{task} version {n}" for task in self.titles for n in range(1, self._version(task) + 1)]
        # An assignment at the creation, and a deletion, make no version.
        found = {
            f"{task} version {version}": 1
            for task, version, kind in self._distinct
            if task not in lost_rows
            and (kind == EventType.TASK_CREATED or (version > 1 and kind != EventType.TASK_DELETED))
        }
        place, _ = _compare("events of tasks", expected=expected, found=found, strange="no such version")
        times = Counter((row.subject, row.version, row.type) for row in of_tasks)
        again = {" ".join(map(str, key)): number - 1 for key, number in times.items() if number > 1}
        place.double += sum(again.values())
        place.found += sum(again.values())
        place.examples += [f"double: {key}" for key in sorted(again)[:_EXAMPLES]]
        return place

    def _notifications(self) -> Place:
        """Compare events that concern other users with notifications."""
        expected = Counter(f"{row.subject} {user} {kind}" for row in self._distinct.values() for user, kind in row.owes)
        notices = self._evidence.notices
        found = Counter(f"{notice.task} {notice.user} {notice.kind}" for notice in notices)
        # The clock causes reminders, at most one of a kind per task and user in a run.
        expected |= Counter(
            {f"{notice.task} {notice.user} {notice.kind}": 1 for notice in notices if notice.kind in BY_CLOCK}
        )
        return Place(
            "notifications",
            expected=expected.total(),
            found=found.total(),
            lost=(expected - found).total(),
            double=(found - expected).total(),
            examples=[
                f"{key}: {found[key]} of {expected[key]}"
                for key in sorted(expected | found)
                if found[key] != expected[key]
            ][:_EXAMPLES],
        )

    def _reminders(self) -> Place:
        """Compare tasks that fell due with what their users were told: once each."""
        expected = [f"{task} {user} {OVERDUE}" for task, user in self._promised.due]
        found = Counter(f"{n.task} {n.user} {n.kind}" for n in self._evidence.notices if n.kind == OVERDUE)
        return _compare("reminders at the due time", expected=expected, found=found)[0]

    def _notification_events(self) -> Place:
        """Compare notifications with rows of events: one for each, and one more if it was read."""
        notices = self._evidence.notices
        expected = [f"{EventType.NOTIFICATION_CREATED} {notice.id}" for notice in notices]
        expected += [f"{EventType.NOTIFICATION_READ} {notice.id}" for notice in notices if notice.is_read]
        found = Counter(f"{row.type} {row.subject}" for row in self._evidence.event_rows if not row.version)
        return _compare("events of notifications", expected=expected, found=found, strange="no such notification")[0]

    def _count_feeds(self) -> Place:
        """Compare all rows of events with each user's change feed."""
        total = Place("events in the change feeds", expected=0, found=0)
        for user, workspace in self._evidence.members.items():
            entitled = [
                row.id
                for row in self._evidence.event_rows
                if row.personal_to == user or (row.personal_to is None and row.workspace == workspace)
            ]
            found = Counter(item.event for item in self._evidence.feeds.get(user, ()))
            place, missing = _compare("", expected=entitled, found=found, strange="not entitled")
            self._missing[user] = missing
            _add(total, place, whose=f"feed of {user}")
        return total

    def _count_frames(self) -> Place:
        """Compare each user's feed with the frames of the user's listeners."""
        total = Place("frames at the listeners", expected=0, found=0)
        for number, listener in enumerate(self._evidence.heard or (), 1):
            due = {item.event for item in self._evidence.feeds.get(listener.user, ()) if item.cursor > listener.joined}
            found = Counter(listener.events)
            for event in self._missing[listener.user]:
                del found[event]  # counted as lost in the feed
            place, missing = _compare("", expected=due, found=found, strange="not entitled")
            self.missing_at_listeners |= missing
            _add(total, place, whose=f"listener {number}")
        return total


def _add(total: Place, place: Place, *, whose: str) -> None:
    total.expected += place.expected
    total.found += place.found
    total.lost += place.lost
    total.double += place.double
    total.examples += [f"{whose}, {example}" for example in place.examples[: _EXAMPLES - len(total.examples)]]
