"""Refusals with a different message each time, as from a webhook that quotes the id of the request."""

import itertools

import pytest

from kubernetes_emulator.proxy import Fault
from taskbell.operator.cluster import ObjectChanged, RequestRefused
from taskbell.operator.plan.need import Pace, Reading


class TwoWanted:
    """A signal that asks for two pods, and keeps the paces that it was given."""

    def __init__(self):
        self.paces = []

    async def read(self, _spec, _scale, paces):
        """One reading, whose pace counts the readings so far."""
        self.paces.append(paces)
        return [Reading(name="s", value=200, needed=2.0, wakes=True, pace=Pace(per_pod=len(self.paces)))]


@pytest.fixture
def refusing(monkeypatch, cluster):
    """Refuse one kind of write, each time with a different message."""

    def refuse(method, resource):
        numbers, really = itertools.count(1), getattr(cluster, method)

        async def answer(asked, *args, **kwargs):
            if asked.plural == resource and not kwargs.get("subresource"):
                raise RequestRefused(f"403 denied, request {next(numbers)}")
            return await really(asked, *args, **kwargs)

        monkeypatch.setattr(cluster, method, answer)

    return refuse


async def test_a_refused_cron_job_is_reported_once_a_minute(proxy, place, due, refusing, still_clock):
    """A different message for the same refusal causes a new status and event once a minute: each wakes the watch."""
    await place.make()
    refusing("apply", "cronjobs")
    keep = due()

    async def tried():
        for _ in range(5):
            with pytest.raises(RequestRefused):
                await keep()
        (ready, *_) = (await place.status())["conditions"]
        return ready["reason"], ready["message"], len(proxy.writes())

    assert await tried() == ("CronJobRefused", "403 denied, request 1", 2)
    await place.respecify(schedule="0 * * * *")
    assert await tried() == ("CronJobRefused", "403 denied, request 6", 4)
    still_clock.pass_by(61)
    assert await tried() == ("CronJobRefused", "403 denied, request 11", 6), "the newest words come once a minute"


async def test_a_refused_size_is_reported_once_a_minute(proxy, pools, refusing):
    """A different message for the same refusal causes a new status once a minute, since it wakes the watch."""
    signals = TwoWanted()
    place = pools(signals)
    await place.deploy(replicas=1)
    await place.make()
    refusing("scale", "deployments")
    for _ in range(5):
        with pytest.raises(RequestRefused):
            await place.look()
    assert signals.paces == [{}, *({"s": Pace(per_pod=number)} for number in range(1, 5))], "paces are kept"
    (ready, *_) = (await place.status())["conditions"]
    assert (ready["reason"], ready["message"]) == ("SizeRefused", "403 denied, request 5"), "a minute after the first"
    assert [call.path.split("/")[-1] for call in proxy.writes()] == ["status", "events", "status"]


async def test_a_changed_pool_is_tried_again_at_once(kubectl, pools, proxy):
    """A conflict right after a change of the spec does not wait for the next interval."""
    place = pools(TwoWanted())
    await place.deploy(replicas=1)
    await place.make()
    assert await place.look() == 2
    path = kubectl.at("workerpools", "delivery")
    await kubectl.must_merge(path, {"spec": {"replicas": {"min": 4}}})
    proxy.faults.append(Fault(method="PATCH", path_ends="/delivery/scale", status=409))
    with pytest.raises(ObjectChanged):
        await place.look(after=1)
    assert await place.look(after=1) == 4
