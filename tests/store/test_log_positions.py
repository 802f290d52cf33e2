import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskbell.store.log_positions import CatchingUp, end_of_log

_PAGE, _SEGMENT = 8192, 16 * 2**20


@pytest.mark.parametrize(
    ("insert_at", "end"),
    [
        (_PAGE + 24, _PAGE),  # right behind a page's header: the record before ended at the page
        (_SEGMENT + 40, _SEGMENT),  # right behind a segment's
        (_PAGE + 32, _PAGE + 32),  # 8 bytes of a record behind a header
        (_PAGE + 40, _PAGE + 40),  # 16 bytes of a record: only a segment's header is so long
        (_PAGE - 8, _PAGE - 8),
    ],
)
def test_the_end_of_the_log_is_before_the_header_of_an_empty_page(insert_at, end):
    """Otherwise a replica that has replayed everything would seem to lack a page's header forever."""
    assert end_of_log(insert_at, page=_PAGE, segment=_SEGMENT) == end


@pytest.mark.feature("M40")
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 100)), max_size=60))
def test_a_replica_is_never_said_to_hold_more_than_it_replayed(steps):
    """Whatever the order of looks: all that the primary's log held at `caught_up_at` is replayed."""
    progress, ends, log, replayed = CatchingUp(), {}, 0, 0
    for moment, (is_primary, size) in enumerate(steps, start=1):
        if is_primary:
            log += size
            ends[float(moment)] = log
            progress.primary_was(float(moment), log)
        else:
            replayed = min(log, replayed + size)
            progress.replica_is(replayed)
            assert progress.behind == max(0, log - replayed)
        assert progress.caught_up_at == float("-inf") or ends[progress.caught_up_at] <= replayed


def test_the_lag_is_the_age_of_what_the_replica_lacks():
    """It counts from the latest look that the replica has passed to the newest one; an older look changes nothing."""
    progress = CatchingUp()
    assert progress.lag == float("inf")
    for moment, end in ((1.0, 10), (2.0, 20), (3.0, 30), (2.5, 99)):
        progress.primary_was(moment, end)
    progress.replica_is(20)
    assert (progress.lag, progress.behind) == (1.0, 10)
    progress.replica_is(30)
    assert (progress.lag, progress.behind) == (0.0, 0)


def test_a_replica_that_is_far_behind_costs_no_memory():
    """Only the newest looks are kept; the replica counts as behind until it comes to one of them."""
    progress = CatchingUp()
    for moment in range(1, 10_000):
        progress.primary_was(float(moment), moment)
    progress.replica_is(5_000)
    assert progress.caught_up_at == float("-inf")
    progress.replica_is(9_998)
    assert progress.caught_up_at == 9_998.0
