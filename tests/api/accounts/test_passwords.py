"""Passwords are hashed off the loop, in bounded number, and unknown accounts cost the same."""

import asyncio
import threading

import pytest

from taskbell.api.accounts.errors import PasswordHashingSaturated
from taskbell.api.accounts.passwords import Passwords


@pytest.fixture
def passwords():
    """Two workers, one place to wait; cheap parameters."""
    made = Passwords(memory_kib=8, iterations=1, workers=2, waiting=1)
    yield made
    made.close()


async def test_a_password_verifies_against_its_own_hash_alone(passwords):
    """The hash is argon2id and verifies its password, whichever way its characters are composed, and no other."""
    hashed = await passwords.hash("pass\u00e9word")
    assert hashed.startswith("$argon2id$")
    assert await passwords.verify("passe\u0301word", hashed=hashed)
    assert not await passwords.verify("passeword", hashed=hashed)
    assert not await passwords.verify("passeword", hashed="no hash at all")


async def test_an_unknown_account_costs_a_verification(passwords, monkeypatch):
    """Without a hash the same verification runs, against nobody's hash, and fails."""
    verified = []
    verify = type(passwords._hasher).verify
    monkeypatch.setattr(
        type(passwords._hasher),
        "verify",
        lambda self, hashed, text: verified.append(hashed) or verify(self, hashed, text),
    )
    assert not await passwords.verify("anything", hashed=None)
    assert verified == [passwords._nobodys_hash]


async def test_hashing_runs_in_threads_of_its_own(passwords, monkeypatch):
    """The event loop's thread computes no hash."""
    seen = []
    monkeypatch.setattr(
        type(passwords._hasher), "hash", lambda self, text: seen.append(threading.current_thread().name) or "hash"
    )
    await passwords.hash("anything")
    assert seen[0].startswith("password")


async def test_a_flood_is_refused_beyond_the_places(passwords):
    """Callers beyond workers and waiting room are refused at once; a place that is left can be taken again."""
    release = asyncio.Event()

    async def hold():
        with passwords.place():
            await release.wait()

    holders = [asyncio.create_task(hold()) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(PasswordHashingSaturated) as refused, passwords.place():
        pass
    assert refused.value.headers["Retry-After"]
    release.set()
    await asyncio.gather(*holders)
    with passwords.place():
        assert await passwords.hash("anything")
