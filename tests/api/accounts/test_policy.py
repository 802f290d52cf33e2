"""The throttle and the worth of refresh tokens, with plain values."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskbell.api.accounts import policy
from taskbell.api.accounts.policy import Attempts, RefreshDecision, ThrottleKeys, TokenState, charge, judge, refund

NOW = datetime(2026, 11, 1, tzinfo=UTC)
pauses = st.lists(st.integers(min_value=0, max_value=2_000), min_size=1, max_size=200)


def play(pauses, *, allowed):
    """Failing attempts with these pauses (s) in between: when each admitted one came, and the waits told to others."""
    now, attempts = NOW, Attempts(failures=0, window_started_at=NOW)
    admitted, waits = [], []
    for pause in pauses:
        now += timedelta(seconds=pause)
        wait = policy.remaining_wait(attempts, now=now)
        if wait:
            waits.append(wait)
        else:
            admitted.append(now)
            attempts = charge(attempts, allowed=allowed, now=now)
    return admitted, waits


@given(pauses=pauses, allowed=st.integers(min_value=1, max_value=20))
def test_no_rhythm_of_guesses_gets_many(pauses, allowed):
    """Whatever the pauses, at most the allowance and one attempt per doubling of the wait fit into a window."""
    admitted, waits = play(pauses, allowed=allowed)
    for first in admitted:
        inside = [each for each in admitted if first <= each < first + policy.WINDOW]
        assert len(inside) <= 2 * (allowed + 5)
    assert all(timedelta(0) < wait <= policy.LONGEST_WAIT for wait in waits)


@given(allowed=st.integers(min_value=1, max_value=20))
def test_waits_double_up_to_the_longest(allowed):
    """The allowance is used without a wait; then each wait is twice the one before, up to a quarter of an hour."""
    now, attempts, waits = NOW, Attempts(failures=0, window_started_at=NOW), []
    for _ in range(allowed + 5):
        attempts = charge(attempts, allowed=allowed, now=now)
        waits.append(policy.remaining_wait(attempts, now=now).total_seconds())
        now += timedelta(seconds=waits[-1])
    assert waits[: allowed - 1] == [0] * (allowed - 1)
    assert waits[allowed - 1 :][:5] == [30, 60, 120, 240, 480]


def test_a_long_series_does_not_overflow():
    """A count that grew beyond all reason still yields the longest wait."""
    attempts = charge(Attempts(failures=10**6, window_started_at=NOW), allowed=1, now=NOW)
    assert policy.remaining_wait(attempts, now=NOW) == policy.LONGEST_WAIT


def test_a_new_window_forgets():
    """A quarter of an hour after the first attempt the count starts again."""
    attempts = Attempts(failures=9, window_started_at=NOW)
    assert charge(attempts, allowed=10, now=NOW + policy.WINDOW).failures == 1


@given(failures=st.integers(min_value=0, max_value=50), allowed=st.integers(min_value=1, max_value=20))
def test_a_success_leaves_no_trace(failures, allowed):
    """Charging and refunding is as if nothing had been, apart from a block that earlier failures deserved."""
    before = Attempts(failures=failures, window_started_at=NOW)
    after = refund(charge(before, allowed=allowed, now=NOW), allowed=allowed)
    assert after.failures == failures
    assert (after.blocked_until is None) == (failures < allowed)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("", "unix:", False),
    ],
)
def test_addresses_count_by_who_owns_them(one, other, same):
    """An IPv4 host counts alone however it is written; an IPv6 host with its whole /64."""
    keys = [ThrottleKeys.of(email="a@example.com", address=each) for each in (one, other)]
    assert (keys[0].address == keys[1].address) is same
    assert (keys[0].pair == keys[1].pair) is same


@given(email=st.text(max_size=40), address=st.text(max_size=40))
def test_keys_are_hashes_that_differ(email, address):
    """Any text has three different keys, none of which tells the text."""
    keys = ThrottleKeys.of(email=email, address=address)
    assert len({keys.pair, keys.account, keys.address}) == 3
    assert all(len(key) == 32 for key in keys.allowances(10))


@pytest.mark.feature("H3")
@pytest.mark.parametrize(
    ("used", "revoked", "expires_in", "decision"),
    [
        (False, False, 1, RefreshDecision.ROTATE),
        (True, False, 1, RefreshDecision.REUSED),
        (False, True, 1, RefreshDecision.REFUSED),
        (True, True, 1, RefreshDecision.REFUSED),
        (False, False, 0, RefreshDecision.REFUSED),
        (True, False, 0, RefreshDecision.REFUSED),
    ],
)
def test_worth_of_a_refresh_token(used, revoked, expires_in, decision):
    """Only the unused token of a living session rotates, and only a living session can be revoked by reuse."""
    state = TokenState(
        used_at=NOW if used else None,
        revoked_at=NOW if revoked else None,
        expires_at=NOW + timedelta(seconds=expires_in),
    )
    assert judge(state, now=NOW) is decision
