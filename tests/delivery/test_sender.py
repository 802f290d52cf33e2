"""The sender with a transport and a ledger of this test: traces, bounds, outcomes that cannot be written at once."""

import asyncio
import contextlib
import dataclasses
from collections import Counter
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from taskbell.delivery import metrics
from taskbell.delivery.alerts import Endpoint
from taskbell.delivery.claims import Claim
from taskbell.delivery.policy import Backoff, Outcome, State
from taskbell.delivery.repository import LedgerRefused, LedgerUnavailable
from taskbell.delivery.sender import Bounds, Sender
from taskbell.delivery.shares import Places, Queue
from taskbell.kit.ids import new_id
from taskbell.kit.looper import running
from taskbell.kit.trace import Tracing
from taskbell.testing.waiting import eventually

_TRACE = "0af7651916cd43dd8448eb211c80319c"


class Ledger:
    """A ledger in memory that can be away for some answers."""

    def __init__(self, claims, *, away=0):
        self.waiting = list(claims)
        self.away = away
        self.recorded = []
        self.given_back = []
        self.deferred = []
        self.refused = None

    async def walk(self, *, past, limit, passed_over):
        """All queues were found."""
        return [], None

    async def oldest_due(self, *, limit):
        """The queues of what waits, in the order of the first of each."""
        waiting = Counter(claim.queue_key for claim in self.waiting[:limit])
        first = {}
        for claim in self.waiting[:limit]:
            first.setdefault(claim.queue_key, claim)
        return [
            Queue(id=key[1], channel=key[0], workspace_id=claim.workspace_id, waiting=waiting[key])
            for key, claim in first.items()
        ]

    async def claim(self, granted, *, lease):
        """Hand out what waits, up to the places of each queue."""
        taken, left = [], Counter(granted)
        for claim in list(self.waiting):
            if left[claim.queue_key] > 0:
                left[claim.queue_key] -= 1
                self.waiting.remove(claim)
                taken.append(claim)
        return taken

    async def record(self, attempts):
        """Write down, or be away."""
        if self.away:
            self.away -= 1
            raise LedgerUnavailable("away")
        if self.refused in {claim.id for claim, _, _ in attempts}:
            raise LedgerRefused("a value")
        self.recorded += attempts
        return []

    async def give_back(self, claim):
        """Write down."""
        self.given_back.append(claim)

    async def defer(self, claim, until):
        """Write down."""
        self.deferred.append((claim, until))


class Transport:
    """A transport that counts how many are under way."""

    def __init__(self, *, fails=None, hold=0.0):
        self.fails = fails
        self.hold = hold
        self.now = {}
        self.most = {}

    async def send(self, claim):
        """Take some time."""
        key = "email" if claim.channel == "email" else claim.endpoint_id
        self.now[key] = self.now.get(key, 0) + 1
        self.most[key] = max(self.most.get(key, 0), self.now[key])
        self.most["all"] = max(self.most.get("all", 0), sum(self.now.values()))
        try:
            await asyncio.sleep(self.hold)
        finally:
            self.now[key] -= 1
        if self.fails:
            raise self.fails
        return Outcome(delivered=True, status=200)


def _notice(event_type, *, urgent):
    """The document of an event about a notification."""
    some = str(new_id())
    data = {"id": some, "kind": "assigned", "title": "t", "body": "b", "workspace_id": some, "created_at": "now"}
    return orjson.dumps({"type": event_type, "data": data | {"urgent": urgent}}).decode()


def _claim(endpoint=None, channel="webhook", workspace=None):
    return Claim(
        id=new_id(),
        event_id=new_id(),
        channel=channel,
        endpoint_id=endpoint or new_id(),
        workspace_id=workspace or new_id(),
        event_type="task.created",
        payload="{}",
        traceparent=f"00-{_TRACE}-b7ad6b7169203331-01",
        attempts=1,
        remaining=60.0,
        age=0.0,
        url="https://x.example/",
        secrets=(),
        email=None,
    )


def _sender(ledger, channel, *, tracing=None, lease=5.0, per_workspace=10):
    return Sender(
        ledger,
        {"webhook": channel, "email": channel, "fcm": channel, "apns": channel},
        bounds=Bounds(
            places=Places(all=10, per_receiver=3, per_workspace=per_workspace),
            push=4,
            lease=timedelta(seconds=lease),
            poll=timedelta(seconds=0.02),
        ),
        backoff=Backoff(first=1.0, longest=10.0),
        tracing=tracing or Tracing(service="test"),
    )


class Pausing:
    """A transport that asks for a pause, some times or always, by its first channel."""

    def __init__(self, *, pause, times=1):
        self.pause, self.times = pause, times
        self.asked, self.failing, self.most_failing = [], 0, 0

    async def send(self, claim):
        """Answer."""
        self.asked.append(claim.channel)
        if not self.times:
            return Outcome(delivered=True, status=200)
        self.times -= 1
        self.failing += 1
        self.most_failing = max(self.most_failing, self.failing)
        await asyncio.sleep(0)
        self.failing -= 1
        return Outcome(delivered=False, status=429, provider_pause=self.pause)


class Gone:
    """A transport whose provider knows no device."""

    async def send(self, claim):
        """Answer."""
        return Outcome(delivered=False, status=404, error="404 UNREGISTERED", gone=True)


class Dead:
    """A transport on which some endpoints never say yes, and say no only while they are answering."""

    def __init__(self, endpoints):
        self.endpoints = frozenset(endpoints)
        self.answering = asyncio.Event()
        self.answering.set()

    async def send(self, claim):
        """Answer."""
        if claim.endpoint_id in self.endpoints:
            await self.answering.wait()
            return Outcome(delivered=False, error="hangs")
        return Outcome(delivered=True, status=200)


async def _recorded(ledger, count):
    await eventually(lambda: len(ledger.recorded) >= count, "the records")


@contextlib.asynccontextmanager
async def working(sender):
    """Run the sender's roles."""
    async with running(sender.recorder.run, name="recorder"), running(sender.run, name="sender"):
        yield


async def _run(sender, ledger, count):
    async with working(sender):
        await _recorded(ledger, count)
        await sender.stop(within=1.0)


@pytest.mark.feature("K13")
async def test_an_attempt_is_a_span_of_the_trace_that_caused_it():
    """From the request that changed a task to the push outwards it is one trace; links lead to those it speaks for."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    others = (f"00-{'a' * 32}-{'b' * 16}-01", "malformed")
    ledger = Ledger([dataclasses.replace(_claim(), others=2, spoken_for=others)])
    await _run(_sender(ledger, Transport(), tracing=Tracing(service="test", provider=provider)), ledger, 1)
    (span,) = exporter.get_finished_spans()
    assert span.name == "push"
    assert f"{span.context.trace_id:032x}" == _TRACE
    assert (span.attributes["taskbell.channel"], span.attributes["taskbell.others"]) == ("webhook", 2)
    assert [f"{link.context.trace_id:032x}" for link in span.links] == ["a" * 32]
    provider.shutdown()


async def test_one_slow_endpoint_leaves_room_for_others():
    """No endpoint gets more than about its share of the places, and all together not more than there are."""
    slow = new_id()
    ledger = Ledger([_claim(slow) for _ in range(30)] + [_claim() for _ in range(10)])
    channel = Transport(hold=0.05)
    await _run(_sender(ledger, channel), ledger, 40)
    assert channel.most[slow] <= 3
    assert channel.most["all"] <= 10


async def test_all_e_mail_goes_to_one_mail_server():
    """A mail server that hangs takes the places of one endpoint, not those of all readers of its e-mails."""
    ledger = Ledger([_claim(channel="email") for _ in range(30)] + [_claim() for _ in range(10)])
    channel = Transport(hold=0.05)
    await _run(_sender(ledger, channel), ledger, 40)
    assert channel.most["email"] <= 3


async def test_endpoints_that_fail_leave_half_of_the_places():
    """However many receivers are known to hang, those that answer are sent to meanwhile."""
    dead = [new_id() for _ in range(10)]
    ledger = Ledger([_claim(endpoint) for endpoint in dead])
    channel = Dead(dead)
    sender = _sender(ledger, channel)
    async with working(sender):
        await _recorded(ledger, 10)  # so that they are known
        channel.answering.clear()
        healthy = [_claim() for _ in range(20)]
        ledger.waiting += [_claim(endpoint) for endpoint in dead * 3] + healthy
        await _recorded(ledger, 30)
        assert {claim.id for claim, _, _ in ledger.recorded[10:]} == {claim.id for claim in healthy}
        channel.answering.set()
        await _recorded(ledger, 60)
        await sender.stop(within=1.0)


async def test_receivers_that_accept_slowly_leave_places_for_another_workspace():
    """However many webhooks of a workspace hang before they accept, another workspace's event goes out meanwhile."""
    hog = new_id()
    slow = [new_id() for _ in range(20)]
    ledger = Ledger([_claim(endpoint, workspace=hog) for endpoint in slow * 3])
    transport = Dead(slow)
    transport.answering.clear()
    sender = _sender(ledger, transport, per_workspace=5)
    async with working(sender):
        await eventually(lambda: len(ledger.waiting) == 55, "the hog's share")
        mine = _claim()
        ledger.waiting.append(mine)
        sender.wake()
        await _recorded(ledger, 1)
        assert ledger.recorded[0][0].id == mine.id
        assert len(ledger.waiting) == 55
        await sender.stop(within=0.0)


async def test_an_outcome_is_written_as_soon_as_the_ledger_is_back():
    """A ledger that is away for a moment after the receiver's yes costs no repetition."""
    ledger = Ledger([_claim()], away=2)
    await _run(_sender(ledger, Transport()), ledger, 1)
    ((_, outcome, decision),) = ledger.recorded
    assert (outcome.delivered, decision.state) == (True, State.DELIVERED)


async def test_a_channel_that_breaks_is_a_failed_attempt():
    """Whatever a transport raises, the delivery is tried again."""
    ledger = Ledger([_claim()])
    await _run(_sender(ledger, Transport(fails=RuntimeError("a test"))), ledger, 1)
    ((_, outcome, decision),) = ledger.recorded
    assert (outcome.error, decision.state) == ("RuntimeError", State.RETRYING)


async def test_what_does_not_end_in_time_is_given_back():
    """At a stop, attempts have their time; then they are broken off and are somebody else's."""
    ledger = Ledger([_claim()])
    transport = Transport(hold=600.0)
    sender = _sender(ledger, transport)
    async with working(sender):
        await eventually(lambda: sum(transport.now.values()), "an attempt")
        await sender.stop(within=0.05)
    assert (len(ledger.given_back), ledger.recorded) == (1, [])


async def test_a_paused_provider_gets_nothing_and_others_go_on():
    """After one answer that asks for a pause nothing more is taken for that channel; the other channel is served."""
    ledger = Ledger([_claim(channel="fcm")])
    pausing = Pausing(pause=600.0)
    sender = _sender(ledger, pausing)
    async with working(sender):
        await _recorded(ledger, 1)
        ledger.waiting += [_claim(channel="fcm"), *(_claim(channel="apns") for _ in range(5))]
        sender.wake()
        await _recorded(ledger, 6)
        assert [claim.channel for claim in ledger.waiting] == ["fcm"]
        assert pausing.asked == ["fcm", *["apns"] * 5]
        await sender.stop(within=1.0)


async def test_a_provider_is_tried_by_one_attempt_after_its_pause():
    """While it still asks for pauses it gets one attempt at a time; when it works again, all that waits."""
    workspace = new_id()
    ledger = Ledger([_claim(channel="fcm", workspace=workspace) for _ in range(12)])
    pausing = Pausing(pause=0.03, times=4)
    sender = _sender(ledger, pausing)
    async with working(sender):
        await _recorded(ledger, 12)
        assert [outcome.provider_pause for _, outcome, _ in ledger.recorded[:4]] == [0.03] * 4
        assert all(outcome.delivered for _, outcome, _ in ledger.recorded[4:])
        assert pausing.most_failing == 1
        await sender.stop(within=1.0)


async def test_pushes_have_places_of_their_own():
    """Webhooks that hang take no place from pushes, of which as many are in flight as the setting says."""
    workspace, hanging = new_id(), [new_id() for _ in range(20)]
    ledger = Ledger([_claim(endpoint) for endpoint in hanging])
    transport = Dead(hanging)
    transport.answering.clear()
    sender = _sender(ledger, transport)
    async with working(sender):
        await eventually(lambda: len(ledger.waiting) < 20, "webhooks that hang")
        ledger.waiting += [_claim(channel="fcm", workspace=workspace) for _ in range(20)]
        sender.wake()
        await _recorded(ledger, 20)
        assert {claim.channel for claim, _, _ in ledger.recorded} == {"fcm"}
        await sender.stop(within=0.0)


async def test_a_provider_that_hangs_holds_the_intake_up_for_a_moment_only(monkeypatch):
    """While all places of a provider are taken, events go on into the ledger, slowly: other channels wait for them."""
    monkeypatch.setattr("taskbell.delivery.sender._PATIENCE", 0.05)
    hanging = [new_id() for _ in range(20)]
    ledger = Ledger([_claim(endpoint, channel="fcm") for endpoint in hanging])
    transport = Dead(hanging)
    transport.answering.clear()
    sender = _sender(ledger, transport)
    async with working(sender):
        await eventually(lambda: len(ledger.waiting) == 16, "the provider has its four places")
        await sender.room()
        await sender.stop(within=0.0)


async def test_what_comes_into_the_quiet_hours_is_not_sent():
    """A claim within quiet hours is deferred to their end, unless it is urgent or no alert at all."""
    end = datetime(2026, 11, 23, 7, tzinfo=UTC)
    late, urgent, read = (
        dataclasses.replace(
            _claim(channel="fcm"), quiet_until=end, event_type=kind, payload=_notice(kind, urgent=is_urgent)
        )
        for kind, is_urgent in (
            ("notification.created", False),
            ("notification.created", True),
            ("notification.read", False),
        )
    )
    ledger = Ledger([late, urgent, read])
    sender = _sender(ledger, Transport())
    async with working(sender):
        await _recorded(ledger, 2)
        await eventually(lambda: ledger.deferred, "the late one")
        await sender.stop(within=1.0)
    assert {claim.id for claim, _, _ in ledger.recorded} == {urgent.id, read.id}
    assert ledger.deferred == [(late, end)]


async def test_a_device_that_is_gone_is_dead_at_once():
    """The ledger removes it; the alert is not tried until its end."""
    endpoint = Endpoint(id=new_id(), kind="fcm", address="token")
    ledger = Ledger([dataclasses.replace(_claim(channel="fcm"), endpoint=endpoint)])
    await _run(_sender(ledger, Gone()), ledger, 1)
    ((_, outcome, decision),) = ledger.recorded
    assert (outcome.gone, decision.state) == (True, State.DEAD)


async def test_one_outcome_that_cannot_be_stored_stops_no_other():
    """What the ledger refuses is counted as not recorded, all others are written."""
    before = metrics.UNRECORDED._value.get()
    claims = [_claim() for _ in range(5)]
    ledger = Ledger(claims)
    ledger.refused = claims[2].id
    await _run(_sender(ledger, Transport()), ledger, 4)
    assert {claim.id for claim, _, _ in ledger.recorded} == {claim.id for claim in claims} - {ledger.refused}
    assert metrics.UNRECORDED._value.get() - before == 1


async def test_only_a_success_is_kept_when_its_lease_has_ended():
    """While the ledger is away for longer, nobody sends twice what was delivered; a failure is another worker's."""
    before = metrics.UNRECORDED._value.get()
    fails, works = _claim(), _claim()
    ledger = Ledger([fails, works], away=10_000)
    sender = _sender(ledger, Dead([fails.endpoint_id]), lease=0.6)
    async with working(sender):
        await eventually(lambda: metrics.UNRECORDED._value.get() - before == 1, "the end of the lease")
        ledger.away = 0
        await _recorded(ledger, 1)
        await sender.stop(within=1.0)
    assert [claim.id for claim, _, _ in ledger.recorded] == [works.id]
