"""Single passes over a WorkerPool whose readings a test sets: clocks, memory, refusals and their events."""

import pytest

from kubernetes_emulator.proxy import Fault
from taskbell.operator.cluster import RequestRefused
from taskbell.operator.plan.need import Pace, Reading
from taskbell.operator.plan.victims import DELETION_COST, Load

APPS, SCALING = "apps/v1", "autoscaling/v2"


class FixedSignals:
    """Readings that a test sets."""

    def __init__(self):
        self.needed, self.loads, self.paces = 2.0, (), []

    async def read(self, _spec, _scale, paces):
        """One reading, whose pace counts the readings so far."""
        self.paces.append(paces)
        pace = Pace(per_pod=len(self.paces))
        value = int(self.needed * 1000)
        return [Reading(name="s", value=value, needed=self.needed, wakes=True, loads=self.loads, pace=pace)]


@pytest.fixture
def clock(still_clock):
    """Time that a test sets."""
    return still_clock


@pytest.fixture
def signals():
    """Readings that a test sets."""
    return FixedSignals()


@pytest.fixture
def empty_place(signals, pools):
    """A keeper without pools."""
    return pools(signals)


@pytest.fixture
def pool_path(kubectl):
    """The pool's path."""
    return kubectl.at("workerpools", "delivery")


@pytest.fixture
def target_path(kubectl):
    """The path of the pool's Deployment."""
    return kubectl.at("deployments", "delivery", group=APPS)


@pytest.fixture
async def place(empty_place):
    """A Deployment of 2 pods and its pool."""
    await empty_place.deploy(replicas=2)
    await empty_place.make(replicas={"min": 1, "max": 20})
    return empty_place


async def add_rival(place):
    """Create an autoscaler of the same Deployment; returns its path."""
    path = place.kubectl.at("horizontalpodautoscalers", group=SCALING)
    target = {"apiVersion": APPS, "kind": "Deployment", "name": "delivery"}
    spec = {"scaleTargetRef": target, "maxReplicas": 20}
    await place.add(path, "HorizontalPodAutoscaler", "rival", apiVersion=SCALING, spec=spec)
    return f"{path}/rival"


async def look_away(place):
    """Make one pass, 15 s later."""
    place.clock.pass_by(15)
    await place.keeper.keep(place.key())


def marked(cost):
    """A change of a pod's deletion cost; None removes it."""
    return {"metadata": {"annotations": {DELETION_COST: cost}}}


@pytest.mark.parametrize("jump", [-86_400, 86_400])
async def test_a_wall_clock_that_jumps_changes_nothing(place, clock, signals, jump):
    """Intervals and windows use the monotonic clock: a corrected wall clock neither stops nor shrinks a pool."""
    signals.needed = 8.0
    assert await place.look() == 6
    clock.time += jump
    assert await place.look() == 8
    signals.needed = 1.0
    clock.time += jump
    assert await place.look() == 8
    assert await place.look(after=299) == 1


@pytest.mark.parametrize("gap", ["rival", "target"])
async def test_a_pool_that_gets_its_target_back_holds_the_size(place, clock, signals, target_path, gap):
    """After a rival, or without its Deployment, a pool shrinks only after a whole window, as after a restart."""
    signals.needed = 1.0
    await place.look()
    rival = await add_rival(place) if gap == "rival" else None
    if rival is None:
        await place.kubectl.must("DELETE", target_path)
    clock.pass_by(3600)
    await place.keeper.keep(place.key())
    assert (await place.condition("Ready"))[0] == "False"
    if rival is None:
        await place.deploy(replicas=12)
    else:
        await place.kubectl.must_merge(target_path, {"spec": {"replicas": 12}})
        await place.kubectl.must("DELETE", rival)
    assert await place.look() == 12
    assert await place.look(after=299) == 12
    assert await place.look() == 1


async def test_policies_count_earlier_changes(place, signals):
    """A pass within the period of a policy makes no further step; one in the next period does."""
    signals.needed = 18.0
    assert [await place.look(after=seconds) for seconds in (15, 8, 8)] == [6, 6, 12]


async def test_passes_that_come_at_once_read_nothing(place, signals, pool_path):
    """A watch event right after a pass reads no signal again, unless the spec changed; then paces start over."""
    for _ in range(3):
        await place.look(after=1)
    assert signals.paces == [{}]
    await place.look()
    assert signals.paces[1:] == [{"s": Pace(per_pod=1)}]
    await place.kubectl.must_merge(pool_path, {"spec": {"replicas": {"min": 3}}})
    assert await place.look(after=1) == 3
    assert signals.paces[2:] == [{}]


async def test_a_pool_that_is_being_deleted_is_not_kept(place, proxy, signals, pool_path, being_deleted):
    """For a pool that waits for its finalizers no size is set and no status is written."""
    signals.needed = 9.0
    async with being_deleted(pool_path):
        assert await place.look() == 2
        assert proxy.writes() == []


async def test_a_pool_at_rest_writes_nothing(place, proxy):
    """While readings stay the same, nothing is written."""
    await place.look()
    proxy.calls.clear()
    for _ in range(5):
        await place.look()
    assert proxy.writes() == []


async def test_a_new_pool_of_the_same_name_has_no_memory(place, signals, pool_path):
    """It holds the size that it finds, and does not use the recommendations of the deleted pool."""
    signals.needed = 1.0
    assert [await place.look(after=seconds) for seconds in (15, 150, 149)] == [2, 2, 2]
    await place.kubectl.must("DELETE", pool_path)
    await place.make()
    assert [await place.look(after=seconds) for seconds in (15, 150, 149, 15)] == [2, 2, 2, 1]


async def test_each_problem_is_recorded_once(empty_place, proxy, events):
    """A problem that follows another is recorded, too; one that lasts is not recorded again."""
    await empty_place.make()
    for _ in range(2):
        await look_away(empty_place)
    rival = await add_rival(empty_place)
    for _ in range(2):
        await look_away(empty_place)
    await empty_place.kubectl.must("DELETE", rival)
    await empty_place.deploy(replicas=2)
    await empty_place.look()
    recorded = [event["reason"] for event in await events()]
    assert recorded == ["TargetMissing", "SizeIsAnothers", "Recovered"]
    assert len(proxy.writes(path_part="/events")) == len(recorded), "no event is repeated"


async def test_a_refused_size_is_reported(place, proxy, signals, events):
    """A size that the API server refuses is a condition with the reason, and one event for all tries."""
    signals.needed = 8.0
    proxy.faults.append(Fault(method="PATCH", path_ends="/delivery/scale", status=403, times=3))
    for _ in range(3):
        with pytest.raises(RequestRefused):
            await place.look()
    assert await place.condition("Ready") == ("False", "SizeRefused")
    assert [event["reason"] for event in await events()] == ["SizeRefused"]
    assert len(proxy.writes(path_part="/events")) == 1
    assert await place.look() == 6
    assert await place.condition("Ready") == ("True", "SizeKept")


@pytest.mark.feature("K6")
async def test_the_pods_with_the_fewest_connections_go_first(place, proxy, signals):
    """Only before a pool shrinks, its pods get their connections as deletion cost, if they have another one."""
    pods = place.kubectl.at("pods", group="")
    signals.loads = (Load("busy", 900), Load("idle", 0), Load("same", 7, "7"), Load("gone", 1), Load("old", 3, "800"))
    for name, cost in (("busy", None), ("idle", None), ("same", "7"), ("old", "800")):
        await place.start_pod(name)
        await place.kubectl.must_merge(f"{pods}/{name}", marked(cost))
    signals.needed = 5.0
    assert await place.look() == 5
    signals.needed = 1.0
    assert await place.look(after=299) == 5
    assert proxy.writes(path_part="/pods/") == []
    proxy.calls.clear()
    assert await place.look() == 1
    changed = [(call.path.split("/")[-1], call.status) for call in proxy.writes()]
    assert sorted(changed[:3]) == [("busy", 200), ("gone", 404), ("old", 200)]
    assert changed[3] == ("scale", 200)
    costs = [found.get(DELETION_COST) for found in await place.annotations("busy", "idle", "same", "old")]
    assert costs == ["900", None, "7", "3"]


async def test_a_status_that_cannot_be_written_causes_no_events(place, proxy, target_path):
    """While the status is refused, passes record no event."""
    await place.kubectl.must("DELETE", target_path)
    proxy.faults.append(Fault(method="PATCH", path_ends="/delivery/status", status=403, times=5))
    for _ in range(5):
        with pytest.raises(RequestRefused):
            await look_away(place)
    assert proxy.writes(path_part="/events") == []


async def test_a_status_that_could_not_be_written_is_written_by_the_next_pass(place, proxy, signals):
    """A retry that comes right after the failure does not rest until the next interval: the status follows the size."""
    signals.needed = 5.0
    proxy.faults.append(Fault(method="PATCH", path_ends="/delivery/status", status=403))
    with pytest.raises(RequestRefused):
        await place.look()
    assert await place.condition("Ready") is None
    assert await place.look(after=0.5) == 5
    assert await place.condition("Ready") == ("True", "SizeKept")


async def test_a_refused_size_counts_as_no_reading(place, proxy, signals):
    """Retries of a refused size come within seconds: they leave the paces, and nothing that is counted by readings."""
    signals.needed = 8.0
    proxy.faults.append(Fault(method="PATCH", path_ends="/delivery/scale", status=403, times=3))
    for _ in range(3):
        with pytest.raises(RequestRefused):
            await place.look(after=1)
    memory = place.keeper._memories[place.key()]
    assert memory.paces == {"s": Pace(per_pod=3)}
    assert (memory.recommended, memory.changes, memory.failures) == ((), (), 0)
