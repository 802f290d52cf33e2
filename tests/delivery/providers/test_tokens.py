"""Tokens for providers: renewed early, by one request, shared by all workers, and never too often."""

import asyncio
import time

import pytest

from taskbell.delivery.provider_tokens import SharedTokens
from taskbell.delivery.providers.credentials import read_apns_key
from taskbell.delivery.providers.tokens import AppleToken, StoredToken, TokenUnavailable
from taskbell.delivery.repository import LedgerUnavailable, open_ledger

pytestmark = pytest.mark.feature("T11", "T2")


class Clock:
    """A clock that a test moves."""

    def __init__(self):
        self.now = time.time()

    def __call__(self):
        """Unix seconds."""
        return self.now


@pytest.fixture
async def store(database):
    """The real store of tokens."""
    async with open_ledger(database.delivery_url, pool_size=4, emails_per_hour=1, channels=[]) as ledger:
        yield SharedTokens(ledger.pool)


@pytest.fixture
def apple(credentials, store):
    """Make the token of a worker."""

    def make(clock, at=None):
        key = read_apns_key(credentials.apns_key)
        return AppleToken(key, key_id="ABCDEFGHIJ", team_id="KLMNOPQRST", store=at or store, clock=clock)

    return make


async def test_all_workers_use_one_token_for_apple(apple):
    """Workers that begin at once agree on one token; after 45 minutes one of them makes the next for all."""
    clock = Clock()
    workers = [apple(clock) for _ in range(8)]
    first = set(await asyncio.gather(*(worker.get() for worker in workers)))
    assert len(first) == 1
    clock.now += 44 * 60
    assert {await worker.get() for worker in workers} == first
    clock.now += 2 * 60
    second = set(await asyncio.gather(*(worker.get() for worker in workers)))
    assert len(second) == 1
    assert second.isdisjoint(first)


async def test_a_token_that_apple_calls_expired_is_replaced_at_most_every_20_minutes(apple):
    """Apple refuses keys that sign more often."""
    clock = Clock()
    one, other = apple(clock), apple(clock)
    first = await one.get()
    assert await other.get() == first
    clock.now += 19 * 60
    with pytest.raises(TokenUnavailable) as refused:
        await one.replace(first)
    assert 0 < refused.value.verdict.outcome.provider_pause <= 60
    clock.now += 2 * 60
    second = await one.replace(first)
    assert second != first
    assert await other.replace(first) == second
    assert await one.replace(first) == second


async def test_a_token_outlives_a_short_outage_of_the_ledger(apple, store):
    """While PostgreSQL is away, a token serves until Apple would refuse it; then the alerts wait."""

    class Away:
        here = True

        async def provider_token(self, provider, key_id):
            if not self.here:
                raise LedgerUnavailable
            return await store.provider_token(provider, key_id)

        share_provider_token = store.share_provider_token

    clock, away = Clock(), Away()
    worker = apple(clock, at=away)
    first = await worker.get()
    away.here = False
    clock.now += 50 * 60
    assert await worker.get() == first
    clock.now += 6 * 60
    with pytest.raises(TokenUnavailable):
        await worker.get()
    away.here = True
    assert await worker.get() != first


async def test_the_latest_token_stands(store):
    """A token does not replace one that is young enough."""
    now = int(time.time())
    first = StoredToken("first", now)
    assert await store.share_provider_token("apns", "k", first, unless_after=now - 60) == first
    assert (await store.share_provider_token("apns", "k", StoredToken("b", now + 1), unless_after=now - 60)) == first
    third = StoredToken("c", now + 2)
    assert (await store.share_provider_token("apns", "k", third, unless_after=now)).token == "c"


async def test_one_google_token_serves_all_attempts(sim, providers, device_of, claim):
    """A hundred alerts at once ask for one token."""
    device = device_of("fcm")
    outcomes = await asyncio.gather(*(providers["fcm"].send(claim(device)) for _ in range(100)))
    assert all(outcome.delivered for outcome in outcomes)
    assert sim.oauth.issued == 1


async def test_a_google_token_is_renewed_early(sim, running, device_of, claim):
    """A token that lives for a minute still serves while the next one is fetched; alerts never wait for it."""
    sim.oauth.lifetime = 60
    device = device_of("fcm")
    async with running() as providers:
        for _ in range(5):
            assert (await providers["fcm"].send(claim(device))).delivered
    assert sim.oauth.issued > 1


async def test_a_token_that_google_forgot_is_replaced_once(sim, running, device_of, claim, monkeypatch):
    """401 with a token that is old enough: one further request with a new one. With a young one: the worker pauses."""
    device = device_of("fcm")
    async with running() as providers:
        assert (await providers["fcm"].send(claim(device))).delivered
        sim.oauth.expire_all()
        outcome = await providers["fcm"].send(claim(device))
        assert (outcome.status, outcome.permanent, outcome.provider_pause) == (401, False, 60.0)
        provider = providers["fcm"]._provider
        monkeypatch.setattr(provider._token, "_clock", lambda: time.time() + 61)
        assert (await providers["fcm"].send(claim(device))).delivered
        assert sim.oauth.issued == 2


@pytest.mark.parametrize(
    ("status", "pause"), [(400, 60.0), (401, 60.0), (500, 5.0), (503, 5.0), (429, 5.0), (200, 5.0)]
)
async def test_a_token_endpoint_that_fails_loses_no_device(sim, providers, device_of, claim, status, pause):
    """The alerts wait, the device stays; and the endpoint is not asked again at once."""
    sim.fail("status", provider="oauth", status=status, body=b'{"access_token": 7}', times=None)
    for _ in range(2):
        outcome = await providers["fcm"].send(claim(device_of("fcm")))
        assert (outcome.delivered, outcome.gone, outcome.permanent) == (False, False, False)
        assert outcome.provider_pause == pause
        assert outcome.error.startswith("token: ")
    assert sim.faults.fired == 1
