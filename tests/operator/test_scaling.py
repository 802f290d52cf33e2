import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskbell.contract.worker_pools import WorkerPoolSpec
from taskbell.operator.plan.need import Pace, Reading, Sample, read_backlog, read_sockets
from taskbell.operator.plan.scaling import Memory, decide
from taskbell.operator.plan.victims import Load

QUICK = {"scaleUp": {"policies": []}, "scaleDown": {"stabilizationWindowSeconds": 0, "policies": []}}
"""No window, no policy, the tolerance of 10 %."""


def pool(*, least=1, most=10, behavior=None, **spec):
    """A pool with one backlog signal of 100 messages a pod."""
    signal = {"name": "backlog", "jetStream": {"stream": "S", "consumer": "c", "backlogPerReplica": 100}}
    given = {"targetRef": {"name": "x"}, "replicas": {"min": least, "max": most}, "signals": [signal]} | spec
    return WorkerPoolSpec.model_validate(given | ({"behavior": behavior} if behavior is not None else {}))


def backlog(pending, unacked=0, *, pace=None, max_unacked=0):
    """The reading of a backlog."""
    sample = Sample(at=0, pending=pending, unacked=unacked, delivered=0, pods=1)
    return read_backlog("backlog", pool().signals[0].jet_stream, sample, pace or Pace(), max_unacked=max_unacked)


FAILED = Reading(name="backlog", error="away")
MISSING = Reading(name="backlog", error="no such consumer", missing=True)


def size(spec, reading, current, memory=None, now=0.0):
    """One decision's size."""
    return decide(spec, memory or Memory(), [reading], current=current, now=now)[0].size


@pytest.mark.parametrize(
    ("pending", "unacked", "expected"),
    [(0, 0, 1), (100, 0, 1), (111, 0, 2), (450, 50, 5), (0, 250, 3), (100_000, 0, 10)],
)
def test_a_backlog_asks_for_pods(pending, unacked, expected):
    """Pending and unacknowledged messages divided by the backlog of one pod, up to the bound."""
    assert size(pool(behavior=QUICK, idle={"cooldown": "0s"}), backlog(pending, unacked), 1) == expected


def test_sockets_keep_headroom():
    """Connections divided by the connections of one pod, without its headroom."""
    signal = WorkerPoolSpec.model_validate(
        {
            "targetRef": {"name": "x"},
            "replicas": {"max": 9},
            "signals": [{"name": "s", "webSocket": {"perReplica": 1000, "headroomPercent": 20}}],
        }
    ).signals[0]
    loads = [[Load("a", open_now)] for open_now in (0, 800, 801, 8000)]
    needs = [read_sockets("s", signal.web_socket, found).pods for found in loads]
    assert needs == [0, 1, 2, 10]


def test_the_larger_signal_wins():
    """With several signals the largest size wins."""
    readings = [Reading(name="a", value=1, needed=2.0, wakes=True), Reading(name="b", value=1, needed=5.0, wakes=True)]
    assert decide(pool(behavior=QUICK), Memory(), readings, current=1, now=0)[0].size == 5


def test_tolerance_leaves_small_differences():
    """A difference of up to a tenth changes nothing; a larger one does."""
    spec = pool(behavior=QUICK, most=50)
    assert [size(spec, backlog(pending), 20) for pending in (1800, 2000, 2200, 2300, 1700)] == [20, 20, 20, 23, 17]


def test_policies_limit_speed():
    """By default a pool doubles or grows by four in 15 s, whichever is more; `Min` takes the lesser policy."""
    spec, memory = pool(most=100), Memory()
    sizes, current, now = [], 1, 0.0
    for _ in range(5):
        decision, memory = decide(spec, memory, [backlog(100_000)], current=current, now=now)
        memory = memory.changed(now, decision.size - current)
        sizes.append(decision.size)
        assert decision.limited_by in {"Policy", "Bounds"}
        current, now = decision.size, now + 16
    assert sizes == [5, 10, 20, 40, 80]
    assert size(spec, backlog(100_000), 5, memory.changed(now, 4), now + 1) == 5
    rules = {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}], "selectPolicy": "Min"}
    assert size(pool(behavior={"scaleUp": rules}), backlog(900), 2) == 3
    assert size(pool(behavior={"scaleUp": {"selectPolicy": "Disabled"}}), backlog(900), 2) == 2


def test_coming_down_waits_for_the_window():
    """A pool shrinks only to the largest recommendation of the window; it grows at once."""
    spec, memory = pool(behavior={"scaleUp": {"policies": []}}), Memory()
    decision, memory = decide(spec, memory, [backlog(800)], current=2, now=0)
    assert decision.size == 8
    for now in (60, 200, 299):
        decision, memory = decide(spec, memory, [backlog(150)], current=8, now=now)
        assert (decision.size, decision.limited_by) == (8, "Stabilization")
    decision, memory = decide(spec, memory, [backlog(150)], current=8, now=301)
    assert decision.size == 2


def test_a_new_operator_does_not_shrink_at_once():
    """Without a memory, as after a restart, the present size counts as a recommendation."""
    assert size(pool(), backlog(0), 8) == 8


def test_zero_needs_an_idle_cooldown():
    """A pool scales to zero only without messages for the whole cooldown; a pending message starts it again."""
    spec, memory = pool(least=0, behavior=QUICK, idle={"cooldown": "2m"}), Memory()
    for now, reading, expected in (
        (0, backlog(0), 1),
        (100, backlog(0, 1), 1),
        (110, backlog(0), 1),
        (229, backlog(0), 1),
        (231, backlog(0), 0),
    ):
        decision, memory = decide(spec, memory, [reading], current=1, now=now)
        assert decision.size == expected, now
    assert size(spec, backlog(0), 0) == 0
    assert size(spec, backlog(1), 0) == 1


def test_errors_hold():
    """A signal that cannot be read does not change the size; after three failures the pool is degraded."""
    spec, memory = pool(behavior=QUICK), Memory()
    for count in range(1, 6):
        decision, memory = decide(spec, memory, [FAILED], current=7, now=count)
        assert (decision.size, decision.limited_by, decision.degraded) == (7, "SignalError", count >= 3)
    decision, memory = decide(spec, memory, [backlog(100)], current=7, now=9)
    assert (decision.size, decision.degraded) == (1, False)


@pytest.mark.parametrize("current", [0, 1, 7, 10])
def test_a_missing_consumer_is_neither_zero_nor_max(current):
    """If the consumer does not exist, the pool is degraded at once and the size stays."""
    decision, _ = decide(pool(least=0), Memory(), [MISSING], current=current, now=0)
    assert (decision.size, decision.degraded) == (current, True)


def test_fallback_only_raises():
    """After enough failures a fallback raises a small pool and does not change a large one."""
    spec = pool(behavior=QUICK, onSignalError={"afterFailures": 1, "mode": "Fallback", "replicas": 4})
    assert [size(spec, FAILED, current) for current in (1, 4, 9)] == [4, 4, 9]


def test_one_readable_signal_may_raise():
    """While one signal fails, another may make the pool larger, never smaller."""
    spec = pool(behavior=QUICK)
    assert decide(spec, Memory(), [FAILED, backlog(900)], current=3, now=0)[0].size == 9
    assert decide(spec, Memory(), [FAILED, backlog(0)], current=3, now=0)[0].size == 3


def test_used_up_acks_are_said():
    """When `max_ack_pending` is reached, the decision says that this limits the pool."""
    decision, _ = decide(pool(), Memory(), [backlog(500, 490, max_unacked=500)], current=10, now=0)
    assert decision.limited_by == "MaxAckPending"
    assert decide(pool(), Memory(), [backlog(500, 490, max_unacked=500)], current=1, now=0)[0].limited_by == "Policy"


def test_manual_is_by_hand():
    """Engine Manual uses its number, within the bounds."""
    spec = pool(engine="Manual", replicas={"min": 1, "max": 3, "manual": 7}, signals=[])
    assert decide(spec, Memory(), [], current=1, now=0)[0].size == 3


_rules = st.fixed_dictionaries(
    {
        "stabilizationWindowSeconds": st.sampled_from([0, 30, 300]),
        "selectPolicy": st.sampled_from(["Max", "Min", "Disabled"]),
        "tolerancePercent": st.integers(0, 30),
        "policies": st.lists(
            st.fixed_dictionaries(
                {
                    "type": st.sampled_from(["Pods", "Percent"]),
                    "value": st.integers(1, 100),
                    "periodSeconds": st.integers(1, 120),
                }
            ),
            max_size=2,
        ),
    }
)
_bounds = st.tuples(st.integers(0, 20), st.integers(1, 40)).map(lambda pair: (min(pair), max(*pair, 1)))
_readings = st.one_of(
    st.builds(backlog, st.integers(0, 10_000), st.integers(0, 500)), st.sampled_from([FAILED, MISSING])
)


@st.composite
def _pools(draw):
    least, most = draw(_bounds)
    return pool(least=least, most=most, behavior={"scaleUp": draw(_rules), "scaleDown": draw(_rules)})


@settings(deadline=None)
@given(_pools(), st.lists(_readings, min_size=1, max_size=12), st.integers(0, 50))
def test_bounds_hold(spec, readings, current):
    """The size always stays within the bounds, and is never zero while messages are unacknowledged."""
    memory, now = Memory(), 0.0
    for reading in readings:
        decision, memory = decide(spec, memory, [reading], current=current, now=now)
        assert spec.replicas.min <= decision.size <= spec.replicas.max
        if reading.value and current:
            assert decision.size > 0
        if reading.error:
            assert decision.size == min(max(current, spec.replicas.min), spec.replicas.max)
        memory = memory.changed(now, decision.size - current) if decision.size != current else memory
        current, now = decision.size, now + 15


@settings(deadline=None)
@given(_pools(), st.integers(0, 10_000), st.integers(0, 10_000), st.lists(_readings, max_size=5), st.integers(0, 40))
def test_more_backlog_never_means_fewer_pods(spec, one, other, earlier, current):
    """With the same memory, a larger backlog never leads to a smaller size."""
    memory, now = Memory(), 0.0
    for reading in earlier:
        _, memory = decide(spec, memory, [reading], current=current, now=now)
        now += 15
    less, more = sorted((one, other))
    assert size(spec, backlog(less), current, memory, now) <= size(spec, backlog(more), current, memory, now)


@settings(deadline=None)
@given(_pools(), st.integers(0, 10_000), st.integers(0, 40))
def test_a_steady_load_never_flaps(spec, pending, current):
    """Under a constant load the size moves in one direction only, and settles."""
    memory, now, sizes = Memory(), 0.0, [min(max(current, spec.replicas.min), spec.replicas.max)]
    for _ in range(120):
        decision, memory = decide(spec, memory, [backlog(pending)], current=sizes[-1], now=now)
        memory = memory.changed(now, decision.size - sizes[-1]) if decision.size != sizes[-1] else memory
        sizes.append(decision.size)
        now += 60  # so that the slowest policy, 1 pod in 120 s, has come to its end
    assert sizes in (sorted(sizes), sorted(sizes, reverse=True))
    assert len({*sizes[-20:]}) == 1


@settings(deadline=None)
@given(st.lists(st.integers(950, 1049), min_size=20, max_size=40))
def test_noise_within_the_tolerance_changes_nothing(loads):
    """A load that varies by a twentieth does not change the size."""
    memory, now = Memory(), 0.0
    for pending in loads:
        decision, memory = decide(pool(most=50, behavior=QUICK), memory, [backlog(pending)], current=10, now=now)
        assert decision.size == 10
        now += 15
