"""The pace of a pod and of arriving messages, measured between two readings, and its effect in a closed loop."""

import dataclasses
import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskbell.contract.worker_pools import JetStreamSignal, WorkerPoolSpec
from taskbell.operator.plan.need import Pace, Reading, Sample, backlog_need, observe, read_backlog
from taskbell.operator.plan.scaling import Memory, decide

BEFORE = Sample(at=0, pending=1000, unacked=100, delivered=500, pods=4)
AFTER = Sample(at=10, pending=900, unacked=120, delivered=900, pods=4)
SIGNAL = JetStreamSignal(stream="S", consumer="c", backlog_per_replica=100)


def proven(per_pod, arriving=0.0, at=0.0):
    """A pace that a backlog has proven."""
    return Pace(arriving=arriving, per_pod=per_pod, proven_at=at)


def seen(known, before, after):
    """The pace after two samples, without the sample that it keeps."""
    return dataclasses.replace(observe(dataclasses.replace(known, sample=before), after), sample=None)


def test_a_backlog_needs_pods_by_their_pace():
    """With 10 messages a second per pod, 50 arriving a second and 600 to drain in 60 s, six pods are needed."""
    sample = Sample(at=0, pending=600, unacked=0, delivered=0, pods=1)
    assert backlog_need(SIGNAL, sample, proven(10, arriving=50)) == 6.0
    assert backlog_need(SIGNAL, sample, proven(10, arriving=20)) == 6.0, "by size"
    assert math.ceil(backlog_need(SIGNAL, sample, proven(10, arriving=500))) == 51


def test_pods_that_keep_up_are_still_needed():
    """Without a backlog, the pods that process what arrives are still needed."""
    sample = Sample(at=0, pending=0, unacked=5, delivered=0, pods=8)
    assert backlog_need(SIGNAL, sample, proven(10, arriving=80)) == 8.0
    assert backlog_need(SIGNAL, sample, proven(10)) == 0.05


def test_pods_that_keep_up_are_enough():
    """While nothing waits no pod is added, even if a slow moment, such as a restart, showed a pace that is too low."""
    sample = Sample(at=0, pending=0, unacked=0, delivered=0, pods=3)
    assert backlog_need(SIGNAL, sample, proven(3, arriving=30)) == 3.0


def test_a_few_waiting_messages_prove_no_pace():
    """Pods that have less than a second's work before them could do more than they are seen to do."""
    before, after = (dataclasses.replace(sample, pending=3) for sample in (BEFORE, AFTER))
    assert seen(proven(20), before, after) == proven(20, arriving=40)


def test_pace_is_measured_between_samples():
    """Arrivals and completions come from the difference of two samples; a new measurement has half the weight."""
    assert seen(Pace(), BEFORE, AFTER) == proven(9.5, arriving=30, at=10)
    assert seen(proven(20.5), BEFORE, AFTER) == proven(15, arriving=30, at=10)
    assert seen(Pace(per_pod=20.5), BEFORE, AFTER) == proven(9.5, arriving=30, at=10)


def test_a_consumer_made_again_starts_over():
    """A lower count of deliveries than before, or a first sample, says nothing about arrivals."""
    again = dataclasses.replace(AFTER, pending=90_000, delivered=3)
    for before in (BEFORE, None):
        assert seen(proven(20, arriving=9), before, again) == proven(20)


@pytest.mark.parametrize(
    ("change", "arriving"),
    [
        ({"pods": 5}, 30),
        ({"delivered": 550, "unacked": 150}, 0),
        ({"pending": 0, "delivered": 550, "unacked": 150}, 0),
        ({"at": 0}, 0),
        ({"at": -60}, 0),
    ],
)
def test_samples_that_show_no_pace_change_none(change, arriving):
    """While pods are added, nothing completes or no time has passed, the known pace stays."""
    after = dataclasses.replace(AFTER, **change)
    assert seen(proven(20), BEFORE, after) == proven(20, arriving=arriving)
    fewer = dataclasses.replace(AFTER, pods=3)
    assert seen(proven(9.5), BEFORE, fewer) == proven(9.5, arriving=30, at=10), "as if all had worked on"
    nobody = [dataclasses.replace(sample, pods=0) for sample in (BEFORE, after)]
    assert seen(proven(20), *nobody).per_pod == 20


def test_without_a_backlog_a_pace_is_only_raised():
    """Pods without a backlog could do more: a proven pace stays, or rises to the measured one."""
    quiet = [dataclasses.replace(sample, pending=0) for sample in (BEFORE, AFTER)]
    assert seen(proven(20), *quiet) == proven(20, arriving=40)
    assert seen(proven(2), *quiet) == proven(9.5, arriving=40)


def test_a_pace_that_nothing_has_proven_rises():
    """After a restart a pool without a backlog shrinks slowly until a backlog shows the pace."""
    quiet = [dataclasses.replace(sample, pending=0) for sample in (BEFORE, AFTER)]
    first = seen(Pace(), *quiet)
    assert first == Pace(arriving=40, per_pod=9.5)
    assert backlog_need(SIGNAL, quiet[1], first) == 4, "the pods that there are"
    assert seen(first, *quiet).per_pod == pytest.approx(9.5 * (1 + 10 / 900))
    stale = proven(20, at=-1790)
    assert seen(stale, *quiet).per_pod == pytest.approx(20 * (1 + 10 / 900)), "half an hour later"
    assert seen(dataclasses.replace(stale, proven_at=-1789), *quiet).per_pod == 20
    burst = dataclasses.replace(AFTER, pending=700)
    assert backlog_need(SIGNAL, burst, Pace(arriving=100, per_pod=0.1)) == 8.2, "by size"


def simulated(*, rate, capacity, size, hours=2):
    """The sizes and backlogs of a pool, with a steady rate of arrivals and a fixed capacity of each pod."""
    spec = {
        "targetRef": {"name": "x"},
        "replicas": {"min": 1, "max": 100},
        "signals": [{"name": "s", "jetStream": {"stream": "S", "consumer": "c", "backlogPerReplica": 500}}],
    }
    pool = WorkerPoolSpec.model_validate(spec)
    sizes, memory, pace, waiting, delivered, backlogs = [size], Memory(), Pace(), 0.0, 0.0, []
    for number in range(hours * 240):
        now = number * 15.0
        done = min(waiting + rate * 15, sizes[-1] * capacity * 15)
        waiting, delivered = waiting + rate * 15 - done, delivered + done
        backlogs.append(waiting)
        sample = Sample(at=now, pending=int(waiting), unacked=sizes[-1], delivered=int(delivered), pods=sizes[-1])
        pace = observe(pace, sample)
        reading = read_backlog("s", pool.signals[0].jet_stream, sample, pace, max_unacked=1000)
        decision, memory = decide(pool, memory, [reading], current=sizes[-1], now=now)
        memory = memory.changed(now, decision.size - sizes[-1]) if decision.size != sizes[-1] else memory
        sizes.append(decision.size)
    return sizes, backlogs


def turns(sizes):
    """How often a series of sizes changes direction."""
    steps = [later - earlier for earlier, later in itertools.pairwise(sizes) if later != earlier]
    return sum((one > 0) != (other > 0) for one, other in itertools.pairwise(steps))


@pytest.mark.feature("K6")
@settings(deadline=None, max_examples=50)
@given(st.integers(1, 400), st.integers(5, 50), st.integers(1, 40))
def test_a_steady_stream_of_work_never_flaps(rate, capacity, size):
    """Pods that keep up are not removed for it: the size stays, except for a few pods that are tried now and then."""
    sizes, backlogs = simulated(rate=rate, capacity=capacity, size=size)
    assert turns(sizes[:120]) <= 4, "too many, too few, and back; once more where no backlog lasted to show the pace"
    rest = sizes[240:]
    assert turns(rest) <= 8
    assert max(rest) - min(rest) <= 2 + 0.2 * max(rest)
    assert rate <= max(rest) * capacity <= 2.5 * rate + 2 * capacity
    assert max(backlogs[240:]) <= 60 * rate


def test_a_pool_that_is_far_too_large_shrinks_in_a_while():
    """Twenty pods with the work of one shrink to one, without any backlog."""
    sizes, backlogs = simulated(rate=1, capacity=10, size=20)
    assert (sizes[20], sizes[-1], max(backlogs)) == (20, 1, 0)


def test_work_that_became_lighter_needs_fewer_pods_in_the_end():
    """A pace that was proven long ago is tested again: pods that became ten times faster are removed."""
    quiet = [dataclasses.replace(sample, pending=0) for sample in (BEFORE, AFTER)]
    pace = proven(1.0)
    for number in range(500):
        samples = [dataclasses.replace(sample, at=sample.at + number * 10) for sample in quiet]
        pace = seen(pace, *samples)
    assert pace.per_pod > 10


def test_a_pool_with_a_flow_of_messages_is_not_idle():
    """Messages that are processed between two readings count as work: the cooldown starts when no more arrive."""
    given = {"targetRef": {"name": "x"}, "replicas": {"min": 0, "max": 3}, "idle": {"cooldown": "1m"}}
    signals = [{"name": "s", "jetStream": {"stream": "S", "consumer": "c"}}]
    pool = WorkerPoolSpec.model_validate(given | {"signals": signals})
    memory, limits = Memory(), []
    for now, needed in ((0, 0.5), (600, 0.5), (1200, 0.0), (1259, 0.0)):
        decision, memory = decide(pool, memory, [Reading(name="s", value=0, needed=needed)], current=1, now=now)
        limits.append(decision.limited_by)
    assert limits == ["", "", "Cooldown", "Cooldown"]
