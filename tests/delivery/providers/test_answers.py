"""Each answer of each provider ends as the provider's documents say."""

import time

import pytest

pytestmark = pytest.mark.feature("T11", "T16")

GONE, FINAL, LATER = "gone", "final", "later"
MINUTE = 60.0


def meaning(outcome):
    """Name what follows from an outcome."""
    if outcome.delivered:
        return "delivered"
    if outcome.gone:
        return GONE
    return FINAL if outcome.permanent else LATER


def word(reason, **more):
    """Script a refusal in the provider's own words."""
    return lambda sim, device: sim.refuse(device.provider, reason, device=device, **more)


def status(number, **headers):
    """Script a bare status, as a proxy or a broken provider gives it."""
    fields = {name.replace("_", "-"): text for name, text in headers.items()}
    return lambda sim, device: sim.fail(
        "status", provider=str(device.provider), status=number, headers=fields, body=b"<html>"
    )


AFTER_3 = {"headers": {"retry-after": "3"}}

TABLE = {
    "fcm": [
        (word("UNREGISTERED"), GONE, None, None),
        (word("INVALID_ARGUMENT", blames="message.token"), GONE, None, None),
        (word("INVALID_ARGUMENT", message="The registration token is not a valid FCM registration token"), GONE, 0, 0),
        (word("INVALID_ARGUMENT", blames="message.android.ttl"), FINAL, None, None),
        (word("INVALID_ARGUMENT"), FINAL, None, None),
        (word("SENDER_ID_MISMATCH"), GONE, None, None),
        (word("THIRD_PARTY_AUTH_ERROR"), LATER, MINUTE, None),
        (word("QUOTA_EXCEEDED"), LATER, MINUTE, MINUTE),
        (word("QUOTA_EXCEEDED", **AFTER_3), LATER, 3.0, 3.0),
        (word("INTERNAL"), LATER, None, None),
        (word("UNAVAILABLE", **AFTER_3), LATER, 3.0, None),
        (word("UNAVAILABLE"), LATER, None, None),
        (status(200), LATER, None, None),
        (status(403), LATER, MINUTE, MINUTE),
        (status(404), LATER, MINUTE, MINUTE),
        (status(413), FINAL, None, None),
        (status(302, location="https://127.0.0.1/"), LATER, None, None),
    ],
    "apns": [
        (word("Unregistered", gone_at=time.time() + 86_400), GONE, None, None),
        (word("Unregistered", gone_at=time.time() - 86_400), LATER, None, None),
        (word("Unregistered"), LATER, None, None),
        (word("ExpiredToken", gone_at=time.time() + 86_400), GONE, None, None),
        (word("BadDeviceToken", times=2), GONE, None, None),
        (word("DeviceTokenNotForTopic"), FINAL, None, None),
        (word("TopicDisallowed"), LATER, None, MINUTE),
        (word("InvalidProviderToken"), LATER, None, MINUTE),
        (word("ExpiredProviderToken"), LATER, None, MINUTE),
        (word("BadEnvironmentKeyIdInToken"), LATER, None, MINUTE),
        (status(403), LATER, None, MINUTE),
        (word("BadPath"), FINAL, None, None),
        (word("PayloadTooLarge"), FINAL, None, None),
        (word("TooManyRequests"), LATER, MINUTE, None),
        (word("TooManyRequests", **AFTER_3), LATER, 3.0, None),
        (word("TooManyProviderTokenUpdates"), LATER, MINUTE, MINUTE),
        (word("InternalServerError"), LATER, None, None),
        (word("ServiceUnavailable", **AFTER_3), LATER, 3.0, None),
        (word("Shutdown"), LATER, None, None),
        (status(410), LATER, None, None),
    ],
    "webpush": [
        (word("invalid_endpoint"), GONE, None, None),
        (word("expired"), GONE, None, None),
        (word("gone"), GONE, None, None),
        (word("unauthorized"), FINAL, None, None),
        (word("forbidden"), FINAL, None, None),
        (word("bad_encryption"), FINAL, None, None),
        (word("too_large"), FINAL, None, None),
        (word("too_many"), LATER, MINUTE, None),
        (word("too_many", **AFTER_3), LATER, 3.0, None),
        (word("overloaded", **AFTER_3), LATER, 3.0, None),
        (word("internal"), LATER, None, None),
        (status(307, location="https://127.0.0.1/"), LATER, None, None),
    ],
    "slack": [
        (word("no_service"), GONE, None, None),
        (word("channel_not_found"), GONE, None, None),
        (word("channel_is_archived"), GONE, None, None),
        (word("invalid_token"), GONE, None, None),
        (word("action_prohibited"), FINAL, None, None),
        (word("invalid_payload"), FINAL, None, None),
        (word("rate_limited"), LATER, MINUTE, None),
        (word("rate_limited", **AFTER_3), LATER, 3.0, None),
        (word("rollup_error"), LATER, None, None),
        (status(503, retry_after="3"), LATER, 3.0, None),
    ],
    "teams": [
        (word("WorkflowNotFound"), GONE, None, None),
        (status(410), GONE, None, None),
        (word("WorkflowTriggerIsNotEnabled"), FINAL, None, None),
        (word("AuthorizationFailed"), FINAL, None, None),
        (word("RequestEntityTooLarge"), FINAL, None, None),
        (word("TooManyRequests"), LATER, MINUTE, None),
        (word("TooManyRequests", **AFTER_3), LATER, 3.0, None),
        (word("InternalServerError"), LATER, None, None),
        (word("ServiceUnavailable", **AFTER_3), LATER, 3.0, None),
    ],
}


@pytest.mark.parametrize("channel", TABLE)
async def test_each_answer_means_what_its_document_says(sim, providers, device_of, claim, channel):
    """A table of answers for each provider; the next alert to the same device is delivered."""
    for number, (script, wanted, after, pause) in enumerate(TABLE[channel]):
        device = device_of(channel)
        script(sim, device)
        outcome = await providers[channel].send(claim(device))
        where = f"{channel} row {number}: {outcome}"
        assert meaning(outcome) == wanted, where
        assert (outcome.retry_after or 0) == (after or 0), where
        assert (outcome.provider_pause or 0) == (pause or 0), where
        assert outcome.error, where
        assert "html" not in outcome.error, where
        again = await providers[channel].send(claim(device))
        assert again.delivered, f"{where}, then {again}"


@pytest.mark.parametrize("channel", TABLE)
@pytest.mark.parametrize("fault", ["reset", "cut", "goaway_error", "lost"])
async def test_a_broken_connection_is_tried_again(sim, providers, device_of, claim, channel, fault):
    """No answer is no word about the device: the ledger tries again, and the next attempt has a new connection."""
    device = device_of(channel)
    assert (await providers[channel].send(claim(device))).delivered
    sim.fail(fault, device=device)
    outcome = await providers[channel].send(claim(device))
    assert meaning(outcome) == LATER
    assert outcome.status is None
    assert (await providers[channel].send(claim(device))).delivered


@pytest.mark.parametrize("channel", TABLE)
@pytest.mark.parametrize("fault", ["goaway", "slow", "duplicate"])
async def test_an_answer_that_still_comes_counts(sim, providers, device_of, claim, channel, fault):
    """What a server answers after GOAWAY, or late, was delivered, and is not sent again; nor is what came twice."""
    device = device_of(channel)
    sim.fail(fault, device=device, seconds=0.05)
    assert (await providers[channel].send(claim(device))).delivered
    assert sim.journal.total == 1
    assert (await providers[channel].send(claim(device))).delivered


@pytest.mark.parametrize("channel", TABLE)
async def test_a_silent_provider_costs_its_time(sim, running, device_of, claim, channel):
    """After TASKBELL_PUSH_TIMEOUT the attempt ends, without a word about the device."""
    device = device_of(channel)
    async with running(push_timeout="PT2S") as providers:
        await providers[channel].send(claim(device))
        sim.fail("silent", device=device)
        outcome = await providers[channel].send(claim(device))
        assert meaning(outcome) == LATER
        assert outcome.error == "no answer within 2 s"
        assert (await providers[channel].send(claim(device))).delivered


@pytest.mark.parametrize("channel", TABLE)
async def test_a_device_that_is_gone_is_reported(sim, providers, device_of, claim, channel):
    """The provider's own state, without a script: the app was removed, the channel deleted."""
    device = device_of(channel)
    sim.unregister(device)
    assert meaning(await providers[channel].send(claim(device))) == GONE


async def test_who_registered_again_is_not_removed_by_old_news(sim, providers, device_of, claim):
    """Apple's 410 tells since when; an app that registered after that is there."""
    device = device_of("apns")
    sim.unregister(device, at=time.time() - 600)
    assert meaning(await providers["apns"].send(claim(device, registered_at=time.time() - 300))) == LATER
    assert meaning(await providers["apns"].send(claim(device, registered_at=time.time() - 900))) == GONE


async def test_the_wrong_environment_removes_no_phone(sim, providers, claim):
    """A phone of the sandbox that was registered as one of production gets its alert, and stays."""
    device = sim.apns.device(sandbox=True)
    device.environment = "production"
    wrong = claim(device)
    device.environment = "sandbox"
    assert (await providers["apns"].send(wrong)).delivered
    sim.fail("cut", provider="apns", address=device.address, times=1)
    sim.refuse("apns", "BadDeviceToken", device=device)
    sim.refuse("apns", "InternalServerError", device=device)
    assert meaning(await providers["apns"].send(wrong)) == LATER
    assert meaning(await providers["apns"].send(wrong)) == LATER


async def test_a_provider_that_fails_is_left_alone(sim, running, device_of, claim):
    """After five failures in a row the worker pauses; users' own servers pause nobody."""
    async with running() as providers:
        for channel in ("fcm", "webpush"):
            device = device_of(channel)
            sim.fail("status", device=device, status=503, times=None)
            outcomes = [await providers[channel].send(claim(device)) for _ in range(6)]
            paused = [outcome.provider_pause is not None for outcome in outcomes]
            assert paused == [False] * 4 + ([True] * 2 if channel == "fcm" else [False] * 2)


async def test_what_cannot_be_sent_is_not_tried(providers, claim, device_of):
    """A device that was removed meanwhile, and a payload that is no notification."""
    import dataclasses

    removed = await providers["fcm"].send(claim(None))
    assert removed.permanent
    assert removed.status is None
    strange = dataclasses.replace(claim(device_of("fcm")), payload="{}")
    assert (await providers["fcm"].send(strange)).permanent
