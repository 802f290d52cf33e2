"""Alerts in the ledger, on real PostgreSQL: who gets a row, when it is due, what is taken together."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from taskbell.contract.events import EventType
from taskbell.delivery import metrics
from taskbell.delivery.incoming import Incoming
from taskbell.delivery.policy import Decision, Outcome, State
from taskbell.delivery.provider_tokens import SharedTokens
from taskbell.delivery.providers.tokens import StoredToken
from taskbell.delivery.repository import open_ledger
from taskbell.kit.ids import new_id

pytestmark = pytest.mark.feature("T11", "T15")

_LEASE = timedelta(minutes=1)
_DAY = timedelta(days=1)
_ALL = ("email", "fcm", "apns", "webpush", "slack", "teams")
_WAIT = timedelta(hours=3)


@pytest.fixture
async def ledger(database):
    """The ledger of a worker that can send by all channels."""
    async with open_ledger(database.delivery_url, pool_size=4, emails_per_hour=3, channels=_ALL) as found:
        yield found


def told(notice, workspace, user, *, kind="assigned", urgent=False, at=None, read=False, traceparent=None):
    """The event of a notification that is created or read."""
    return Incoming(
        id=new_id(),
        workspace_id=workspace,
        type=EventType.NOTIFICATION_READ if read else EventType.NOTIFICATION_CREATED,
        time=at or datetime.now(UTC) + timedelta(seconds=5),
        payload="{}",
        traceparent=traceparent,
        kind=None if read else kind,
        audience=(user,),
        notification_id=notice,
        urgent=urgent,
    )


async def add(ledger, *events):
    """Record events as the intake does."""
    return (await ledger.add(events, shared=[], retry_for=_DAY, lease=_LEASE)).rows


async def claim(ledger, platform, channel="fcm", places=100):
    """Take what is due by a channel, in all its queues."""
    key = "endpoint_id" if channel in {"webpush", "slack", "teams"} else "workspace_id"
    rows = await platform.connection.fetch(f"SELECT DISTINCT {key} AS id FROM deliveries WHERE channel = $1", channel)
    return await ledger.claim({(channel, row["id"]): places for row in rows}, lease=_LEASE)


async def quiet(platform, user, *, ends_in=_WAIT):
    """Give the user quiet hours that hold now and end in some time."""
    end = (datetime.now(UTC) + ends_in).replace(microsecond=0)
    begin = end - timedelta(hours=23)
    await platform.connection.execute(
        "UPDATE users SET quiet_from = $2, quiet_until = $3 WHERE id = $1", user, begin.time(), end.time()
    )
    return end


async def morning(platform):
    """Let what waits for the end of quiet hours be due."""
    await platform.connection.execute("UPDATE deliveries SET due_at = now() WHERE deferred AND attempts = 0")


async def test_each_endpoint_gets_its_alert(platform, ledger):
    """Devices, chats and the mailbox of the user; twice the same event adds nothing; the claim knows the endpoint."""
    user, workspace = await platform.person(wants_email=True)
    stranger, _ = await platform.person()
    ids = {kind: await platform.endpoint(user, kind) for kind in _ALL[1:]}
    await platform.endpoint(stranger, "fcm")
    event = told(await platform.notification(user, workspace), workspace, user)
    assert await add(ledger, event) == 6
    assert await add(ledger, event) == 0
    for channel in _ALL:
        (found,) = await claim(ledger, platform, channel)
        assert (found.event_id, found.attempts, found.others) == (event.id, 1, 0)
        if channel == "email":
            assert found.email is not None
            assert found.unsubscribe_token is not None
            assert found.endpoint is None
        else:
            assert (found.endpoint.id, found.endpoint.kind) == (ids[channel], channel)
    assert {row["notification_id"] for row in await platform.deliveries()} == {event.notification_id}


async def test_a_replay_floods_nobody(platform, ledger):
    """An endpoint gets nothing from before it was registered; a renewal since then takes nothing away."""
    user, workspace = await platform.person()
    await platform.endpoint(user, "fcm")
    notice = await platform.notification(user, workspace)
    before = datetime.now(UTC) - timedelta(minutes=5)
    assert await add(ledger, told(notice, workspace, user, at=before)) == 0
    await platform.connection.execute("UPDATE alert_endpoints SET created_at = $1, registered_at = now()", before)
    assert await add(ledger, told(notice, workspace, user, at=before)) == 1


async def test_nobody_waits_for_a_provider_that_is_not_set_up(platform, database):
    """A worker records no alert for a channel that it cannot send by."""
    user, workspace = await platform.person(wants_email=True)
    for kind in _ALL[1:]:
        await platform.endpoint(user, kind)
    event = told(await platform.notification(user, workspace), workspace, user)
    async with open_ledger(database.delivery_url, pool_size=1, emails_per_hour=3, channels=("apns",)) as ledger:
        assert await add(ledger, event) == 1
    assert [row["channel"] for row in await platform.deliveries()] == ["apns"]


@pytest.mark.parametrize(
    ("kind", "channel", "enabled", "expected"),
    [
        ("*", "push", False, {"email", "slack"}),
        ("assigned", "*", False, set()),
        ("comment", "*", False, {"email", "slack", "fcm"}),
        ("assigned", "email", False, {"slack", "fcm"}),
        ("assigned", "slack", False, {"email", "fcm"}),
    ],
)
async def test_preferences_decide(platform, ledger, kind, channel, enabled, expected):
    """A preference of kind and channel switches alerts off, and the inbox is not asked."""
    user, workspace = await platform.person(wants_email=True)
    for one in ("fcm", "slack"):
        await platform.endpoint(user, one)
    await platform.connection.execute(
        "INSERT INTO alert_preferences (user_id, workspace_id, kind, channel, enabled) VALUES ($1, $2, $3, $4, $5)",
        *(user, workspace, kind, channel, enabled),
    )
    await add(ledger, told(await platform.notification(user, workspace), workspace, user))
    assert {row["channel"] for row in await platform.deliveries()} == expected


async def test_a_preference_adds_a_kind_of_e_mail(platform, ledger):
    """E-mail follows its channel's kinds, unless a preference says otherwise."""
    user, workspace = await platform.person(wants_email=True, kinds=("due_soon",))
    notice = await platform.notification(user, workspace)
    assert await add(ledger, told(notice, workspace, user)) == 0
    await platform.connection.execute(
        "INSERT INTO alert_preferences (user_id, workspace_id, kind, channel, enabled)"
        " VALUES ($1, '00000000-0000-0000-0000-000000000000', 'assigned', 'email', true)",
        user,
    )
    assert await add(ledger, told(notice, workspace, user)) == 1


async def test_quiet_hours_defer_and_urgent_passes(platform, ledger):
    """At night an alert is due at the end, and is given up a day after that; an urgent one is due at once."""
    user, workspace = await platform.person(wants_email=True)
    await platform.endpoint(user, "fcm")
    end = await quiet(platform, user)
    await add(ledger, told(await platform.notification(user, workspace), workspace, user))
    assert [(row["due_at"], row["give_up_at"], row["deferred"]) for row in await platform.deliveries()] == [
        (end, end + _DAY, True)
    ] * 2
    assert await claim(ledger, platform) == []
    urgent = told(await platform.notification(user, workspace), workspace, user, urgent=True)
    await add(ledger, urgent)
    (found,) = await claim(ledger, platform)
    assert (found.event_id, found.deferred) == (urgent.id, False)
    assert found.quiet_until == end


async def test_what_waited_becomes_one(platform, ledger):
    """In the morning one alert for each endpoint speaks for the others, except for those that were read."""
    user, workspace = await platform.person(wants_email=True)
    for _ in range(2):
        await platform.endpoint(user, "fcm")
    await quiet(platform, user)
    notices = [await platform.notification(user, workspace) for _ in range(6)]
    await add(ledger, *(told(notice, workspace, user) for notice in notices))
    await platform.read(notices[0], notices[3])
    await morning(platform)
    claims = await claim(ledger, platform) + await claim(ledger, platform, "email")
    assert [(found.others, found.deferred) for found in claims] == [(3, True)] * 3
    assert sorted(await platform.states()) == sorted(["pending", *["collapsed"] * 3, *["withdrawn"] * 2] * 3)
    assert await claim(ledger, platform) == []


@pytest.mark.feature("H15")
async def test_a_retry_still_says_how_many(platform, ledger):
    """What a worker that died has taken together stays together: the next one says the same number."""
    user, workspace = await platform.person()
    await platform.endpoint(user, "fcm")
    await quiet(platform, user)
    events = [told(await platform.notification(user, workspace), workspace, user) for _ in range(4)]
    await add(ledger, *events)
    await morning(platform)
    (first,) = await claim(ledger, platform)
    await platform.connection.execute("UPDATE deliveries SET due_at = now() WHERE state = 'pending'")
    (second,) = await claim(ledger, platform)
    assert (second.id, second.others, second.attempts) == (first.id, 3, 2)
    await ledger.give_back(second)
    (third,) = await claim(ledger, platform)
    assert (third.id, third.others) == (first.id, 3)


@pytest.mark.feature("H16")
async def test_two_workers_never_divide_what_waited(platform, ledger):
    """While a worker takes what waited for an endpoint, another one finds nothing of it; then neither does."""
    user, workspace = await platform.person()
    endpoints = [await platform.endpoint(user, "fcm") for _ in range(20)]
    await quiet(platform, user)
    notices = [await platform.notification(user, workspace) for _ in range(10)]
    await add(ledger, *(told(notice, workspace, user) for notice in notices))
    await morning(platform)
    granted = {("fcm", workspace): 3}
    takes = await asyncio.gather(*(ledger.claim(granted, lease=_LEASE) for _ in range(30)))
    while more := await ledger.claim(granted, lease=_LEASE):
        takes.append(more)
    claims = [found for take in takes for found in take]
    assert sorted(found.endpoint_id for found in claims) == sorted(endpoints)
    assert {found.others for found in claims} == {9}


@pytest.mark.parametrize("channel", ["fcm", "email", "slack"])
async def test_what_was_read_is_not_sent(platform, ledger, channel):
    """An alert whose notification is read before it is taken is withdrawn, by every channel."""
    user, workspace = await platform.person(wants_email=True)
    await platform.endpoint(user, channel) if channel != "email" else None
    notice = await platform.notification(user, workspace)
    await add(ledger, told(notice, workspace, user))
    await platform.read(notice)
    assert await claim(ledger, platform, channel) == []
    assert {row["state"] for row in await platform.deliveries() if row["channel"] == channel} == {"withdrawn"}


async def test_reading_takes_the_alert_back_where_it_was_attempted(platform, ledger):
    """Each device that may show it gets a withdrawal, once; chats, mailboxes and other devices do not."""
    user, workspace = await platform.person(wants_email=True)
    for kind in ("fcm", "apns", "webpush", "slack"):
        await platform.endpoint(user, kind)
    notice = await platform.notification(user, workspace)
    await add(ledger, told(notice, workspace, user))
    for channel in ("fcm", "webpush", "slack", "email"):
        assert len(await claim(ledger, platform, channel)) == 1
    await platform.connection.execute("UPDATE deliveries SET state = 'delivered' WHERE attempts > 0")
    await platform.read(notice)
    read = told(notice, workspace, user, read=True)
    assert await add(ledger, read) == 2
    assert await add(ledger, read) == 0
    for channel in ("fcm", "webpush"):
        (found,) = await claim(ledger, platform, channel)
        assert (found.event_id, found.event_type) == (read.id, "notification.read")
    assert await claim(ledger, platform, "apns") == []


async def test_an_alert_in_flight_is_taken_back_after_its_lease(platform, ledger):
    """It cannot overtake the alert: it waits until nobody sends that any more."""
    user, workspace = await platform.person()
    await platform.endpoint(user, "fcm")
    notice = await platform.notification(user, workspace)
    await add(ledger, told(notice, workspace, user))
    (alert,) = await claim(ledger, platform)
    await platform.read(notice)
    await add(ledger, told(notice, workspace, user, read=True))
    (in_flight, withdrawal) = await platform.deliveries()
    assert in_flight["id"] == alert.id
    assert withdrawal["due_at"] == in_flight["due_at"]


async def test_a_removed_device_is_known_as_removed(platform, ledger):
    """The claim of an alert has no endpoint any more."""
    user, workspace = await platform.person()
    device = await platform.endpoint(user, "fcm")
    await add(ledger, told(await platform.notification(user, workspace), workspace, user))
    await platform.connection.execute("DELETE FROM alert_endpoints WHERE id = $1", device)
    (found,) = await claim(ledger, platform)
    assert (found.endpoint, found.quiet_until) == (None, None)


async def test_the_claim_has_the_readers_zone(platform, ledger):
    """What is needed to write times as the reader does."""
    user, workspace = await platform.person()
    await platform.endpoint(user, "apns")
    await platform.connection.execute("UPDATE users SET time_zone = 'Asia/Tokyo' WHERE id = $1", user)
    await add(ledger, told(await platform.notification(user, workspace), workspace, user))
    (found,) = await claim(ledger, platform, "apns")
    assert (found.zone, found.quiet_until) == ("Asia/Tokyo", None)


@pytest.mark.feature("K13")
async def test_an_alert_knows_the_traces_of_those_it_speaks_for(platform, ledger):
    """What one alert tells in the morning leads back to each change of the night; its trace is the first."""
    user, workspace = await platform.person()
    await platform.endpoint(user, "fcm")
    await quiet(platform, user)
    traces = [f"00-{digit * 32}-{digit * 16}-01" for digit in "abc"]
    for traceparent in traces:
        notice = await platform.notification(user, workspace)
        event = told(notice, workspace, user, traceparent=traceparent)
        added = await ledger.add([event], shared=[], retry_for=_DAY, lease=_LEASE)
        assert (added.alerts[event.id], added.deferred[event.id]) == (1, 1)
    await morning(platform)
    (found,) = await claim(ledger, platform)
    assert (found.traceparent, set(found.spoken_for), found.others) == (traces[0], set(traces[1:]), 2)


@pytest.mark.feature("K14")
async def test_what_waits_and_what_is_spared_is_counted(platform, ledger):
    """Deferred, collapsed and withdrawn alerts are counted by channel."""
    counted = {
        "deferred": metrics.DEFERRED.labels(channel="apns"),
        "collapsed": metrics.SPARED.labels(channel="apns", state="collapsed"),
        "withdrawn": metrics.SPARED.labels(channel="apns", state="withdrawn"),
    }
    before = {name: metric._value.get() for name, metric in counted.items()}
    user, workspace = await platform.person()
    await platform.endpoint(user, "apns")
    await quiet(platform, user)
    notices = [await platform.notification(user, workspace) for _ in range(4)]
    for notice in notices:
        await add(ledger, told(notice, workspace, user))
    await platform.read(notices[0])
    await morning(platform)
    await claim(ledger, platform, "apns")
    found = {name: metric._value.get() - before[name] for name, metric in counted.items()}
    assert found == {"deferred": 4, "collapsed": 2, "withdrawn": 1}


def attempted(found, *, state=State.RETRYING, pause=3600.0, **outcome):
    """An attempt that ended."""
    return found, Outcome(**{"delivered": state is State.DELIVERED} | outcome), Decision(state=state, pause=pause)


async def test_outcomes_are_recorded_together(platform, ledger):
    """One statement writes many; a failure of a former attempt changes nothing, and what was delivered stays so."""
    user, workspace = await platform.person()
    for _ in range(4):
        await platform.endpoint(user, "fcm")
    await add(ledger, told(await platform.notification(user, workspace), workspace, user))
    delivered, retried, dead, late = await claim(ledger, platform)
    await platform.connection.execute("UPDATE deliveries SET attempts = 2 WHERE id = $1", late.id)
    await ledger.record(
        [
            attempted(delivered, state=State.DELIVERED, status=200),
            attempted(retried, status=503, error="answered 503"),
            attempted(dead, state=State.DEAD, status=400, error="answered 400"),
            attempted(late, status=500, error="answered 500"),
        ]
    )
    await ledger.record([attempted(delivered, status=500, error="late")])
    rows = {row["id"]: row for row in await platform.deliveries()}
    assert [
        (rows[found.id]["state"], rows[found.id]["response_status"]) for found in (delivered, retried, dead, late)
    ] == [("delivered", 200), ("retrying", 503), ("dead", 400), ("pending", None)]
    assert rows[delivered.id]["delivered_at"] is not None


@pytest.mark.feature("T16")
async def test_a_device_that_its_provider_calls_gone_is_removed(platform, ledger):
    """The alert is dead, with its reason; the next ones have no device."""
    user, workspace = await platform.person()
    device = await platform.endpoint(user, "fcm")
    for _ in range(2):
        await add(ledger, told(await platform.notification(user, workspace), workspace, user))
    first, second = await claim(ledger, platform)
    gone = {"state": State.DEAD, "status": 404, "error": "404 UNREGISTERED", "gone": True}
    assert await ledger.record([attempted(first, **gone), attempted(second, **gone)]) == [(device, "fcm")]
    assert await ledger.record([attempted(second, **gone)]) == []
    assert await platform.states() == ["dead", "dead"]
    assert await platform.connection.fetchval("SELECT count(*) FROM alert_endpoints") == 0


@pytest.mark.feature("T16")
async def test_a_device_that_was_registered_again_stays(platform, ledger):
    """The provider spoke of the former registration: the device stays, and the alert is tried again at once."""
    user, workspace = await platform.person()
    await platform.endpoint(user, "fcm")
    await add(ledger, told(await platform.notification(user, workspace), workspace, user))
    (found,) = await claim(ledger, platform)
    await platform.connection.execute("UPDATE alert_endpoints SET registered_at = clock_timestamp() + interval '2 ms'")
    gone = {"state": State.DEAD, "pause": 0.0, "status": 404, "error": "404 UNREGISTERED", "gone": True}
    assert await ledger.record([attempted(found, **gone)]) == []
    assert await platform.states() == ["retrying"]
    (again,) = await claim(ledger, platform)
    assert again.endpoint is not None


async def test_an_alert_that_comes_late_into_the_quiet_hours_waits(platform, ledger):
    """A retry that is due at night is put off, and neither its attempts nor its time are used up."""
    user, workspace = await platform.person()
    await platform.endpoint(user, "fcm")
    await add(ledger, told(await platform.notification(user, workspace), workspace, user))
    end = await quiet(platform, user)
    (found,) = await claim(ledger, platform)
    assert found.quiet_until == end
    await ledger.defer(found, end)
    (row,) = await platform.deliveries()
    assert (row["due_at"], row["deferred"], row["attempts"], row["state"]) == (end, True, 0, "pending")
    assert row["give_up_at"] > end + timedelta(hours=23)


async def test_workers_share_a_token(platform, ledger):
    """The one that stands is everybody's, until it is too old; then the next one is."""
    tokens = SharedTokens(ledger.pool)
    assert await tokens.provider_token("apns", "T.K") is None
    first, second = StoredToken("first", 1_000.0), StoredToken("second", 2_000.0)
    assert await tokens.share_provider_token("apns", "T.K", first, unless_after=0.0) == first
    assert await tokens.share_provider_token("apns", "T.K", second, unless_after=500.0) == first
    assert await tokens.share_provider_token("apns", "T.K", second, unless_after=1_000.0) == second
    assert await tokens.provider_token("apns", "T.K") == second
