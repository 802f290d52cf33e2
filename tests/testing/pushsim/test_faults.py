"""Scripted faults, seen from a real HTTP/2 client."""

import asyncio

import httpx
import pytest

from taskbell.testing.pushsim.faults import Fault, FaultKind, FaultMalformed, Faults
from taskbell.testing.waiting import eventually

pytestmark = pytest.mark.feature("K4")


async def test_a_status_with_headers_and_body(sim, sender):
    """The scripted answer comes as it is, once, and nothing is accepted."""
    device = sim.fcm.device()
    sim.fail("status", device=device, status=503, headers={"retry-after": "7"}, body=b"later")
    answer = await sender.fcm(device)
    assert (answer.status_code, answer.headers["retry-after"], answer.text) == (503, "7", "later")
    assert (sim.journal.total, sim.journal.refused[0].scripted) == (0, True)
    assert (await sender.fcm(device)).status_code == 200


async def test_a_refusal_in_the_providers_words(sim, sender):
    """`refuse` answers as the provider would: status, body and further headers."""
    device = sim.apns.device()
    sim.refuse("apns", "TooManyRequests", device=device, times=2, headers={"retry-after": "3"})
    for _ in range(2):
        answer = await sender.apns(device)
        assert (answer.status_code, answer.json()) == (429, {"reason": "TooManyRequests"})
        assert answer.headers["retry-after"] == "3"
    sim.refuse("fcm", "QUOTA_EXCEEDED")
    answer = await sender.fcm(sim.fcm.device())
    assert answer.json()["error"]["details"][0]["errorCode"] == "QUOTA_EXCEEDED"
    for provider, reason, status in (("webpush", "gone", 410), ("slack", "rate_limited", 429)):
        sim.refuse(provider, reason)
        hook = sim.webpush.subscription() if provider == "webpush" else sim.slack.hook()
        assert (await sender.client.post(hook.address)).status_code == status


async def test_a_fault_is_of_one_device(sim, sender):
    """Another device of the provider is served."""
    bad, good = sim.fcm.device(), sim.fcm.device()
    sim.fail("status", device=bad, times=None, status=500)
    assert [(await sender.fcm(device)).status_code for device in (good, bad, good, bad)] == [200, 500, 200, 500]
    sim.faults.clear()
    assert (await sender.fcm(bad)).status_code == 200


async def test_a_reset_stream_leaves_the_connection(sim, sender):
    """RST_STREAM fails one request; the next one uses the same connection."""
    device = sim.fcm.device()
    await sender.fcm(device)
    sim.fail("reset", provider="fcm")
    with pytest.raises(httpx.RemoteProtocolError):
        await sender.fcm(device)
    assert (await sender.fcm(device)).status_code == 200
    assert len(sim.server.connections) == 1


async def test_a_cut_connection_fails_the_request(sim, sender):
    """The request fails, and a new connection serves the next one."""
    device = sim.fcm.device()
    await sender.fcm(device)
    sim.fail("cut", provider="fcm")
    with pytest.raises(httpx.TransportError):
        await sender.fcm(device)
    assert sim.journal.total == 1
    assert (await sender.fcm(device)).status_code == 200


async def test_a_goaway_with_an_error_tells_that_nothing_was_accepted(sim, sender):
    """Its last stream is before the request, so that a client may send it again, as this one does by itself."""
    device = sim.fcm.device()
    await sender.fcm(device)
    sim.fail("goaway_error", provider="fcm", code=11)
    assert (await sender.fcm(device)).status_code == 200
    assert [refused.reason for refused in sim.journal.refused] == ["goaway_error"]
    assert sim.journal.total == 2


async def test_silence_lasts(sim, sender):
    """No answer comes, whatever the client's patience; other requests on the connection are served."""
    device = sim.fcm.device()
    await sender.fcm(device)
    sim.fail("silent", provider="fcm")
    waiting = asyncio.create_task(sender.fcm(device))
    await eventually(lambda: sim.journal.refused, "the silent request came")
    assert (await sender.fcm(device)).status_code == 200
    assert not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_a_slow_answer_holds_no_other_up(sim, sender):
    """A later request is answered while an earlier one still waits for its slow answer."""
    device = sim.fcm.device()
    await sender.fcm(device)
    sim.fail("slow", provider="fcm", seconds=3600)
    slow = asyncio.create_task(sender.fcm(device))
    await sim.arrived(2)
    assert (await sender.fcm(device)).status_code == 200
    assert not slow.done()
    slow.cancel()
    await asyncio.gather(slow, return_exceptions=True)


@pytest.mark.parametrize("ending", ["cut", "reset"])
async def test_a_lost_answer_makes_a_duplicate(sim, sender, ending):
    """The request is accepted though the client sees a failure; a second attempt shows once more, or replaces."""
    device = sim.fcm.device()
    await sender.fcm(device)
    sim.journal.clear()
    sim.fail("lost", device=device, ending=ending)
    with pytest.raises(httpx.TransportError):
        await sender.fcm(device)
    assert (await sender.fcm(device)).status_code == 200
    assert sim.journal.counts() == {(device.address, "n1"): 2}
    assert (len(device.screen.alerts), device.screen.alerted) == (1, 3)


async def test_a_provider_may_bring_an_alert_twice(sim, sender):
    """A duplicate of the provider's shows twice where nothing collapses it, and is one request."""
    device = sim.fcm.device()
    sim.fail("duplicate", device=device)
    await sender.fcm(device, data={}, notification={"title": "T"})
    assert (sim.journal.total, len(device.screen.alerts), device.screen.alerted) == (1, 2, 2)


async def test_the_token_endpoint_fails_too(sim, sender):
    """Faults of `oauth` hit the token endpoint alone."""
    sim.fail("status", provider="oauth", status=500)
    assert (await sender.token()).status_code == 500
    assert (await sender.token()).status_code == 200


def test_a_probability_is_repeatable():
    """The same seed fires at the same requests, about as often as it says."""

    def fired(seed):
        faults = Faults()
        faults.add(Fault(kind=FaultKind.SLOW, probability=0.3, seed=seed, times=None))
        return [faults.meet("fcm", None) is not None for _ in range(1000)]

    assert fired(1) == fired(1) != fired(2)
    assert 250 < sum(fired(1)) < 350


def test_the_first_rule_that_fits_decides():
    """Rules are asked in their order; one that is used up makes room for the next."""
    faults = Faults()
    for kind, times in (("slow", 2), ("cut", 1), ("reset", None)):
        faults.add(Fault(kind=FaultKind(kind), provider="fcm", times=times))
    met = [faults.meet("fcm", None).kind for _ in range(5)]
    assert met == ["slow", "slow", "cut", "reset", "reset"]
    assert faults.meet("apns", None) is None
    assert (faults.fired, len(faults)) == (5, 1)


@pytest.mark.parametrize(
    "wrong",
    [{"status": 100}, {"seconds": -1}, {"times": 0}, {"probability": 1.5}, {"ending": "answer"}, {"seconds": 4000}],
)
def test_a_malformed_fault_is_refused(wrong):
    """Values out of their range are refused when the fault is described."""
    with pytest.raises(FaultMalformed):
        Fault(kind=FaultKind.STATUS, **wrong)


def test_rules_are_bounded():
    """A simulator holds 1,000 rules."""
    faults = Faults()
    for _ in range(1000):
        faults.add(Fault(kind=FaultKind.SLOW))
    with pytest.raises(FaultMalformed):
        faults.add(Fault(kind=FaultKind.SLOW))
