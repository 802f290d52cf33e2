"""The quota of a user, as plain values."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from taskbell.api.rates.quota import WINDOW, Counts

QUOTA = 10


class Clock:
    """A time that tests set."""

    now = 6000.0

    def __call__(self):
        """The time."""
        return self.now


@pytest.fixture
def clock():
    """The start of a window."""
    return Clock()


@pytest.fixture
def counts(clock):
    """A quota of 10."""
    return Counts(quota=QUOTA, clock=clock)


@pytest.mark.feature("M34")
def test_a_user_has_the_quota_and_nobody_elses(counts):
    """The request after the last one of the quota is not counted; another user has a quota of their own."""
    assert [counts.charge(1, 1) for _ in range(QUOTA)] == list(range(QUOTA - 1, -1, -1))
    assert counts.charge(1, 1) < 0
    assert counts.charge(2, 1) == QUOTA - 1


def test_a_heavy_request_takes_more(counts):
    """Weights are subtracted; what is heavier than the rest is not counted, what is light enough still is."""
    assert counts.charge(1, 7) == 3
    assert counts.charge(1, 4) < 0
    assert counts.charge(1, 3) == 0


def test_what_was_refunded_can_be_used(counts):
    """A refund gives back what was charged, and never more than that."""
    counts.charge(1, 4)
    counts.refund(1, 4)
    counts.refund(1, 4)
    counts.refund(2, 4)
    assert counts.charge(1, 0) == counts.charge(2, 0) == QUOTA


def test_the_minute_before_fades(counts, clock):
    """After a full minute, what it held is given back evenly over the next one; then it is forgotten."""
    counts.charge(1, QUOTA)
    for seconds, left in ((WINDOW, 0), (WINDOW * 1.5, 5), (WINDOW * 1.9, 9), (WINDOW * 2, QUOTA)):
        clock.now = 6000.0 + seconds
        assert counts.charge(1, 0) == left
    clock.now += WINDOW * 5
    counts.charge(1, 0)
    assert counts._before == {}


@given(steps=some.lists(some.tuples(some.floats(0, 40), some.integers(1, QUOTA)), max_size=60))
def test_no_minute_has_twice_the_quota_and_waiting_helps(steps):
    """In no 60 s are 2 quotas counted; who is refused and waits as long as it is told is admitted."""
    clock = Clock()
    counts = Counts(quota=QUOTA, clock=clock)
    done = []
    for pause, weight in steps:
        clock.now += pause
        if counts.charge(1, weight) < 0:
            clock.now += counts.wait(1, weight)
            assert counts.charge(1, weight) >= 0
        done.append((clock.now, weight))
        assert sum(each for at, each in done if at > clock.now - WINDOW) < 2 * QUOTA
        assert 1 <= counts.reset() <= WINDOW


def test_counts_of_all_processes_are_taken_over(counts, clock):
    """The sum of all processes counts, unless it is about a window that is over or less than what is known."""
    counts.charge(1, 1)
    assert counts.learn(1, window=counts.window, used=8) == 2
    assert counts.learn(1, window=counts.window, used=3) == 2
    assert counts.learn(1, window=counts.window - 1, used=9) == 2
    assert counts.learn(1, window=counts.window, used=12) < 0
