"""Passwords are hashed off the loop, in bounded number, and unknown accounts cost the same."""

import contextlib
import threading

import pytest

from taskbell.api.accounts.errors import PasswordHashingSaturated, SignInThrottled
from taskbell.api.accounts.fairness import Purpose
from taskbell.api.accounts.passwords import Passwords, Place

PLACE = Place(b"somebody", Purpose.SIGN_IN)


@pytest.fixture
def passwords():
    """Two workers, one place to wait; cheap parameters."""
    made = Passwords(memory_kib=8, iterations=1, workers=2, waiting=1)
    yield made
    made.close()


async def test_a_password_verifies_against_its_own_hash_alone(passwords):
    """The hash is argon2id and verifies its password, whichever way its characters are composed, and no other."""
    hashed = await passwords.hash("pass\u00e9word", place=PLACE)
    assert hashed.startswith("$argon2id$")
    assert await passwords.verify("passe\u0301word", hashed=hashed, place=PLACE)
    assert not await passwords.verify("passeword", hashed=hashed, place=PLACE)
    assert not await passwords.verify("passeword", hashed="no hash at all", place=PLACE)


async def test_an_unknown_account_costs_a_verification(passwords, monkeypatch):
    """Without a hash the same verification runs, against nobody's hash, and fails."""
    verified = []
    verify = type(passwords._hasher).verify
    monkeypatch.setattr(
        type(passwords._hasher),
        "verify",
        lambda self, hashed, text: verified.append(hashed) or verify(self, hashed, text),
    )
    assert not await passwords.verify("anything", hashed=None, place=PLACE)
    assert verified == [passwords._nobodys_hash]


async def test_hashing_runs_in_threads_of_its_own(passwords, monkeypatch):
    """The event loop's thread computes no hash."""
    seen = []
    monkeypatch.setattr(
        type(passwords._hasher), "hash", lambda self, text: seen.append(threading.current_thread().name) or "hash"
    )
    await passwords.hash("anything", place=PLACE)
    assert seen[0].startswith("password")


async def test_a_flood_is_refused_beyond_the_places(passwords):
    """Callers beyond the places are refused at once; a place that is left can be taken again."""
    with contextlib.ExitStack() as held:
        for number in range(3):
            held.enter_context(passwords.place(b"lane %d" % number))
        with pytest.raises(PasswordHashingSaturated) as refused, passwords.place(b"another"):
            pass
        assert refused.value.headers["Retry-After"]
    with passwords.place(b"another") as place:
        assert await passwords.hash("anything", place=place)


async def test_one_lane_leaves_places_for_others(passwords):
    """A crowd at one address gets no more places than it leaves free, and is told to wait."""
    with contextlib.ExitStack() as held:
        held.enter_context(passwords.place(b"crowd"))
        held.enter_context(passwords.place(b"crowd"))
        with pytest.raises(SignInThrottled), passwords.place(b"crowd"):
            pass
        held.enter_context(passwords.place(b"another"))


async def test_registrations_take_no_place_of_sign_ins(passwords):
    """When registrations have all their places, sign-ins still have all of theirs."""
    with contextlib.ExitStack() as held:
        for number in range(2):
            held.enter_context(passwords.place(b"lane %d" % number, purpose=Purpose.REGISTRATION))
        with pytest.raises(PasswordHashingSaturated), passwords.place(b"another", purpose=Purpose.REGISTRATION):
            pass
        for number in range(3):
            held.enter_context(passwords.place(b"lane %d" % number))
