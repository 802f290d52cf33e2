"""The throttle and the worth of refresh tokens, with plain values."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskbell.api.accounts import policy
from taskbell.api.accounts.policy import Attempts, RefreshDecision, Source, TokenState, charge, judge, refund

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
    """Charging and refunding is as if nothing had been, however many failures of others came before."""
    before = Attempts(failures=failures, window_started_at=NOW)
    charged = charge(before, allowed=allowed, now=NOW)
    assert refund(charged, charged=charged, allowed=allowed) == before


@given(failures=st.integers(min_value=0, max_value=50), allowed=st.integers(min_value=1, max_value=20))
def test_a_success_takes_back_no_pause_of_others(failures, allowed):
    """A guess that failed while the attempt was made keeps its pause."""
    charged = charge(Attempts(failures=failures, window_started_at=NOW), allowed=allowed, now=NOW)
    other = charge(charged, allowed=allowed, now=NOW + timedelta(seconds=1))
    after = refund(other, charged=charged, allowed=allowed)
    assert after.failures == failures + 1
    assert after.blocked_until == (other.blocked_until if failures + 1 >= allowed else None)


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
    sources = [Source.stranger(email="a@example.com", address=each, allowed=1) for each in (one, other)]
    assert (sources[0].own == sources[1].own) is same


def test_a_site_of_ipv6_counts_together():
    """Registrations from the /64s of one /48 share a wider allowance; an IPv4 address has only its own."""
    one, other = (
        Source.registration(address=each, allowed=2).allowances for each in ("2001:db8::1", "2001:db8:0:1::1")
    )
    assert [one[key] for key in one.keys() & other.keys()] == [20]
    assert list(Source.registration(address="192.0.2.1", allowed=2).allowances.values()) == [2]


@given(email=st.text(max_size=40), address=st.text(max_size=40), user=st.uuids(), other=st.uuids())
def test_keys_are_hashes_that_differ(email, address, user, other):
    """Each kind of source has keys of its own, none of which tells from what it was made."""
    sources = [
        Source.stranger(email=email, address=address, allowed=10),
        Source.device(user_id=user, device_id=other, allowed=10),
        Source.session(user_id=user, session_id=other, allowed=10),
        Source.registration(address=address, allowed=10),
    ]
    keys = [key for source in sources for key in source.allowances]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 32 for key in keys)
    assert all(source.allowances[source.own] == 10 for source in sources)


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


def test_a_site_shares_its_places_for_hashing():
    """Whoever owns an IPv6 /48 has one lane, not one for each of its 65,536 networks; each guesses for itself."""
    one, other = "2001:db8:7:1::1", "2001:db8:7:2::1"
    strangers = [Source.stranger(email="ann@example.com", address=each, allowed=5) for each in (one, other)]
    assert strangers[0].lane == strangers[1].lane
    assert strangers[0].own != strangers[1].own
    registrations = [Source.registration(address=each, allowed=5) for each in (one, other)]
    assert registrations[0].lane == registrations[1].lane
    foreign = Source.stranger(email="ann@example.com", address="2001:db8:8:1::1", allowed=5)
    assert foreign.lane != strangers[0].lane
