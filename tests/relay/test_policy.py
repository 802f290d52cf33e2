"""The relay's decisions."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskbell.kit.ids import lowest_id
from taskbell.relay.policy import (
    Pace,
    Position,
    StreamAction,
    StreamState,
    Youth,
    before,
    in_doubt,
    judge,
    next_epoch,
    rebuild_after,
)

pytestmark = pytest.mark.feature("F15")

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("sequence", "stream", "action"),
    [
        (0, None, StreamAction.CREATE),
        (5, None, StreamAction.REBUILD),
        (5, StreamState(epoch=3, last_sequence=5), StreamAction.KEEP),
        (5, StreamState(epoch=3, last_sequence=9), StreamAction.KEEP),
        (5, StreamState(epoch=3, last_sequence=4), StreamAction.REBUILD),
        (0, StreamState(epoch=3, last_sequence=0), StreamAction.KEEP),
        (0, StreamState(epoch=2, last_sequence=7), StreamAction.CREATE),
        (0, StreamState(epoch=None, last_sequence=7), StreamAction.CREATE),
        (5, StreamState(epoch=None, last_sequence=7), StreamAction.REBUILD),
        (5, StreamState(epoch=2, last_sequence=7), StreamAction.REBUILD),
        (0, StreamState(epoch=4, last_sequence=7), StreamAction.REBUILD),
    ],
)
def test_a_stream_is_kept_only_while_it_holds_what_was_acknowledged(sequence, stream, action):
    """Missing, truncated or foreign streams are distinguished from new ones."""
    assert judge(epoch=3, sequence=sequence, stream=stream) is action


@given(st.integers(1, 1000), st.none() | st.integers(0, 1000))
def test_a_new_epoch_is_higher_than_any_seen(epoch, of_stream):
    """Whichever of the two was restored from a backup."""
    stream = StreamState(epoch=of_stream, last_sequence=0)
    assert next_epoch(epoch=epoch, stream=stream) > max(epoch, of_stream or 0)
    assert next_epoch(epoch=epoch, stream=None) > epoch


@given(st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)), st.none() | st.uuids())  # noqa: DTZ001 -- hypothesis adds the zone
def test_a_rebuild_leaves_out_nothing_that_is_unpublished(since, undone):
    """It begins at the wanted instant or earlier, and includes both bounds."""
    after = rebuild_after(since=since, lowest_undone=undone)
    assert after < lowest_id(since)
    if undone is not None:
        assert after < undone or undone == UUID(int=0)


def test_the_id_before_the_first_is_the_first():
    """No id lies below nil."""
    assert before(UUID(int=0)) == UUID(int=0)
    assert before(UUID(int=1)) == UUID(int=0)


@pytest.mark.parametrize("year", [1, 1900, 1969])
def test_a_rebuild_since_before_1970_leaves_out_nothing(year):
    """An instant that no id can hold is the beginning of all, not an id of the far future."""
    since = datetime(year, 12, 31, tzinfo=UTC)
    assert rebuild_after(since=since, lowest_undone=None) == UUID(int=0)


def test_ids_follow_time():
    """A later instant has a higher lowest id, to the millisecond."""
    assert lowest_id(NOW) < lowest_id(NOW + timedelta(milliseconds=1))


def test_the_pause_doubles_up_to_the_slowest():
    """Nothing after a find, then longer and longer, never beyond the bound however long nothing happens."""
    pace = Pace(gather=0, fastest=0.02, slowest=0.5)
    assert [pace.pause(empty_looks=n) for n in (0, 1, 2, 3, 6, 10_000)] == [0, 0.02, 0.04, 0.08, 0.5, 0.5]


@pytest.mark.parametrize(
    ("stream", "cut"),
    [
        (StreamState(epoch=3, last_sequence=9, missing=1), False),
        (StreamState(epoch=3, last_sequence=9, first_sequence=7), True),
    ],
)
def test_a_stream_with_a_hole_or_without_its_beginning_is_rebuilt(stream, cut):
    """Whatever the position is, and even if its end is complete."""
    assert judge(epoch=3, sequence=9, stream=stream, cut=cut) is StreamAction.REBUILD


def test_messages_are_gone_too_early_or_because_they_expired():
    """A message that came after a look at the stream cannot expire before the look is as old as messages become."""
    youth = Youth()
    youth.note(10, now=0, max_age=100)
    for second in range(1, 51):
        youth.note(10 + second, now=second, max_age=100)
    assert not youth.lost(11, now=50, max_age=100)
    assert youth.lost(12, now=50, max_age=100)
    assert youth.lost(13, now=95.5, max_age=100), "the look at second 1 saw the end at 11"
    assert not youth.lost(12, now=95.5, max_age=100), "what the first look saw may be expired"
    assert not youth.lost(1000, now=200, max_age=100)
    youth.forget()
    assert not youth.lost(12, now=50, max_age=100)


def test_a_long_life_is_remembered_in_few_marks():
    """Looks every five seconds for a week cost no more memory than a hundred of them."""
    youth = Youth()
    for second in range(0, 700_000, 60):
        youth.note(second, now=second, max_age=604_800)
    assert len(youth._marks) <= 101


@pytest.mark.parametrize(
    ("saved", "present", "doubt"),
    [("boot-1", "boot-2", True), ("boot-1", "boot-1", False), (None, "boot-2", False), ("boot-1", None, False)],
)
def test_a_server_of_another_boot_is_in_doubt_after_a_relay_that_died(saved, present, doubt):
    """A relay that ended as it should leaves no name; a stream of several replicas has none."""
    position = Position(epoch=3, sequence=5, server=saved)
    assert in_doubt(position, stream=StreamState(epoch=3, last_sequence=5, server=present)) is doubt
