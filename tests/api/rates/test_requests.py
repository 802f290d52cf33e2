"""The limit of requests over HTTP: headers, weights, what is free, and processes that count together."""

import asyncio
import contextlib

import httpx
import pytest
from pydantic import SecretStr

from taskbell.api.app import create_app
from taskbell.api.rates.quota import Counts
from taskbell.api.settings import ApiSettings
from taskbell.api.tasks.service import TaskService
from taskbell.kit.nats_bus import BusUnavailable
from taskbell.testing.waiting import eventually

QUOTA = 100


@pytest.fixture
def overrides():
    """The limit as it is by default."""
    names = ("rate_limit_per_minute", "requests_at_once_per_user")
    return {name: ApiSettings.model_fields[name].default for name in names}


def stop_the_clock(app):
    """It is the middle of a minute, and stays so."""
    limiter = app.state.services.limiter
    limiter.counts = Counts(quota=limiter._quota, clock=lambda: 6030.0)


@pytest.fixture
async def ann(app, api, sign_up):
    """Somebody who is signed in, in the middle of a minute that does not end."""
    stop_the_clock(app)
    return await sign_up()


def left(answer):
    """What the response says is left."""
    name, remaining, reset = answer.headers["ratelimit"].split(";")
    assert (name, reset) == ('"user"', "t=30")
    return int(remaining.removeprefix("r="))


@pytest.mark.feature("M34", "M25")
async def test_a_user_gets_100_requests_a_minute(api, ann, sign_up):
    """The 101st is 429 with a stable code and `Retry-After`; every response says what is left; others go on."""
    for number in range(QUOTA):
        answer = await api.get("/v1/me", headers=ann.headers)
        assert (answer.status_code, left(answer)) == (200, QUOTA - 1 - number)
        assert answer.headers["ratelimit-policy"] == '"user";q=100;w=60'
    for method, path in (("GET", "/v1/me"), ("POST", "/v1/tasks"), ("GET", "/v1/tasks")):
        answer = await api.request(method, path, headers=ann.headers)
        assert (answer.status_code, answer.json()["code"], left(answer)) == (429, "rate_limited", 0)
        assert 30 < int(answer.headers["retry-after"]) <= 60
    bob = await sign_up()
    assert (await api.get("/v1/me", headers=bob.headers)).status_code == 200


async def test_requests_weigh_by_what_they_may_cost(api, ann):
    """A page counts as one request for each hundred items that it may hold; a limit that is refused as one."""
    before = left(await api.get("/v1/me", headers=ann.headers))
    for path, weight in (
        ("/v1/tasks", 1),
        ("/v1/tasks?limit=101", 2),
        ("/v1/tasks?limit=%31000", 10),
        ("/v1/me/tasks?limit=1000", 10),
        ("/v1/notifications?limit=1000", 10),
        ("/v1/tasks?limit=1001", 1),
        ("/v1/tasks?limit=x", 1),
    ):
        now = left(await api.get(path, headers=ann.headers))
        assert (path, before - now) == (path, weight)
        before = now
    answers = [await api.get("/v1/tasks?limit=1000", headers=ann.headers) for _ in range(8)]
    assert [answer.status_code for answer in answers] == [200] * 6 + [429] * 2
    assert left(answers[-1]) == 4


async def test_what_has_not_changed_is_free(api, ann):
    """A 304 costs nothing, and its headers say so."""
    task = await api.post("/v1/tasks", json={"title": "t"}, headers=ann.headers)
    url, headers = task.headers["location"], {**ann.headers, "If-None-Match": task.headers["etag"]}
    for _ in range(QUOTA * 2):
        answer = await api.get(url, headers=headers)
        assert (answer.status_code, left(answer)) == (304, QUOTA - 1)


async def test_nothing_is_charged_to_strangers(api, ann):
    """Requests without an access token have no quota and no such headers."""
    for headers in ({}, {"Authorization": "Bearer x"}):
        assert "ratelimit" not in (await api.get("/v1/me", headers=headers)).headers


async def test_costly_requests_of_one_user_follow_each_other(api, ann, sign_up, monkeypatch):
    """While a user's page of 1,000 is made, the user's next one waits; another user's request does not."""
    bob = await sign_up()
    under_way, most, go = 0, 0, asyncio.Event()
    page = TaskService.page

    async def slow(*arguments, **named):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await go.wait()
        under_way -= 1
        return await page(*arguments, **named)

    monkeypatch.setattr(TaskService, "page", slow)
    many = [asyncio.create_task(api.get("/v1/tasks?limit=1000", headers=ann.headers)) for _ in range(5)]
    assert (await api.get("/v1/me", headers=bob.headers)).status_code == 200
    go.set()
    assert [answer.status_code for answer in await asyncio.gather(*many)] == [200] * 5
    assert most == 1


@pytest.fixture
async def two(settings, ann):
    """Clients of two processes that count together: on the NATS of the platform, named in both ways."""
    async with contextlib.AsyncExitStack() as stack:
        clients = []
        for url in ("nats://", settings.nats_url.get_secret_value()):
            store = SecretStr(url)
            app = create_app(settings.model_copy(update={"rate_limit_storage_url": store, "rate_limit_per_minute": 10}))
            await stack.enter_async_context(app.router.lifespan_context(app))
            stop_the_clock(app)
            await eventually(lambda app=app: app.state.services.limiter._shared._client.is_connected, "a connection")
            transport = httpx.ASGITransport(app)
            client = httpx.AsyncClient(transport=transport, base_url="http://api.test", headers=ann.headers)
            clients.append(await stack.enter_async_context(client))
        yield clients


@pytest.mark.feature("M25")
async def test_processes_count_together(two):
    """With a shared store two processes permit one quota, in whatever order they are asked."""
    order = [0, 1, 1, 0, 0, 0, 1, 0, 1, 1, 0, 1, 1]
    answers = [await two[number].get("/v1/me") for number in order]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429] * 3
    assert [left(answer) for answer in answers] == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0, 0]


async def test_what_is_free_is_free_in_all_processes(two, ann, api):
    """A 304 is given back to the shared store by the user's next request."""
    task = await two[0].post("/v1/tasks", json={"title": "t"})
    unchanged = {"If-None-Match": task.headers["etag"]}
    for number in (0, 0, 1, 1, 0, 1, 0, 1):
        answer = await two[number].get(task.headers["location"], headers=unchanged)
        assert answer.status_code == 304
    assert left(await two[0].get("/v1/me")) >= 6


async def test_each_process_counts_for_itself_while_the_store_is_away(two):
    """No request fails and none waits for a store that does not answer: the process keeps the limit alone."""
    limiter = two[0]._transport.app.state.services.limiter
    asked = 0

    async def away(_subject, _amount):
        nonlocal asked
        asked += 1
        raise BusUnavailable("away")

    limiter._shared.add = away
    answers = [await two[0].get("/v1/me") for _ in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert asked == 1
