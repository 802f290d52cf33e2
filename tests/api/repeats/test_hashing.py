"""Requests with a key that hash a password: no connection waits for the hash, and they are repeated like others."""

import asyncio
import dataclasses

import pytest

from taskbell.api.accounts.passwords import Passwords
from taskbell.api.app import create_app
from taskbell.kit.sealing import generate_sealing_keys
from taskbell.testing.waiting import eventually

PASSWORD = "correct horse battery staple"
OTHER = "another long password"


@pytest.fixture
def overrides():
    """One connection, so that whoever holds it is noticed; a second factor is to be had."""
    return {"database_pool_size": 1, "database_acquire_timeout": "PT2S", "second_factor_keys": generate_sealing_keys()}


class Hashing:
    """Holds back whoever hashes a password, until `go` is set; `waiting` is how many do."""

    def __init__(self, monkeypatch):
        self.waiting, self.go, real = 0, asyncio.Event(), Passwords._in_thread

        async def wait(passwords, place, work):
            self.waiting += 1
            await self.go.wait()
            return await real(passwords, place, work)

        monkeypatch.setattr(Passwords, "_in_thread", wait)


@pytest.fixture
def hashing(ann, monkeypatch):
    """Holds hashes back, once Ann has signed up."""
    return Hashing(monkeypatch)


def _change(password):
    return {"current_password": password, "new_password": OTHER}


_REQUESTS = {
    "/me/password": (_change, 204),
    "/me/email": (lambda password: {"password": password, "email": "moved@example.com"}, 202),
    "/me/second-factor": (lambda password: {"password": password}, 201),
    "/me/second-factor/disable": (lambda password: {"password": password, "code": "123456"}, 409),
}


@pytest.mark.parametrize("key", ["k", None])
@pytest.mark.parametrize("path", _REQUESTS)
async def test_a_hash_holds_no_connection(api, ann, hashing, path, key):
    """While the password is hashed somebody else gets an answer, though the process has one connection only."""
    body, expected = _REQUESTS[path]
    request = asyncio.create_task(ann.send(key, path, json=body(PASSWORD)))
    await eventually(lambda: hashing.waiting, "the password is hashed")
    other = await api.get("/v1/me", headers=ann.headers)
    hashing.go.set()
    assert (await request).status_code == expected
    assert other.status_code == 200


async def test_a_change_of_the_password_is_repeated(ann, same):
    """The repeat gets the first answer, though the password that it gives is the former one by now."""
    change = _change(PASSWORD)
    first = await ann.send("k", "/me/password", json=change)
    assert first.status_code == 204
    assert same(first, await ann.send("k", "/me/password", json=change))
    assert (await ann.send("another", "/me/password", json=change)).status_code == 422


async def test_a_wrong_password_is_an_answer(ann, same):
    """The repeat of a request that was refused is refused again, and counts as no further guess."""
    sent = {"json": {"password": "wrong", "email": "moved@example.com"}}
    first = await ann.send("k", "/me/email", **sent)
    assert (first.status_code, first.json()["errors"][0]["pointer"]) == (422, "/password")
    for _ in range(20):
        assert same(first, await ann.send("k", "/me/email", **sent))


async def test_two_processes_change_the_password_once(settings, ann, api_client_of, hashing, same):
    """Both hash for one key; the one that comes second gives the answer of the first."""
    other = create_app(settings)
    async with other.router.lifespan_context(other), api_client_of(other) as client:
        there = dataclasses.replace(ann, api=client)
        requests = [
            asyncio.create_task(each.send("k", "/me/password", json=_change(PASSWORD))) for each in (ann, there)
        ]
        await eventually(lambda: hashing.waiting == 2, "both hash")
        hashing.go.set()
        first, second = sorted(
            await asyncio.gather(*requests), key=lambda answer: "idempotency-replayed" in answer.headers
        )
    assert first.status_code == 204
    assert same(first, second)
