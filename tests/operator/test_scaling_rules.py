"""The decision function compared with a second implementation of the rules of HorizontalPodAutoscaler v2."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskbell.contract.worker_pools import Idle, JetStreamSignal, OnSignalError, WebSocketSignal, WorkerPoolSpec
from taskbell.operator.plan.need import Pace, Reading, Sample, read_backlog, read_sockets
from taskbell.operator.plan.scaling import Memory, decide
from taskbell.operator.plan.victims import Load


def pool(*, least=1, most=100, **behavior):
    """A pool with one signal."""
    signal = {"name": "s", "jetStream": {"stream": "S", "consumer": "c"}}
    given = {"targetRef": {"name": "x"}, "replicas": {"min": least, "max": most}, "signals": [signal]}
    return WorkerPoolSpec.model_validate(given | {"behavior": behavior})


def asks(needed):
    """A reading that asks for a number of pods."""
    return Reading(name="s", value=1, needed=needed, wakes=True)


class Run:
    """A series of decisions, each carried out."""

    def __init__(self, spec, current):
        self.spec, self.current, self.memory, self.now = spec, current, Memory(), 0.0

    def step(self, needed, *, after=15.0):
        """Decide some seconds later; returns the new size."""
        self.now += after
        decision, self.memory = decide(self.spec, self.memory, [asks(needed)], current=self.current, now=self.now)
        if decision.size != self.current:
            self.memory = self.memory.changed(self.now, decision.size - self.current)
        self.current = decision.size
        return decision.size


@pytest.mark.parametrize("direction", ["scale_up", "scale_down"])
def test_a_field_that_is_set_leaves_the_others_at_their_defaults(direction):
    """A direction with only its tolerance set keeps the default window and policies, as with an HPA."""
    default = getattr(pool().behavior, direction)
    changed = getattr(pool(**{direction: {"tolerancePercent": 5}}).behavior, direction)
    assert changed == default.model_copy(update={"tolerance_percent": 5})


def test_a_reversed_change_does_not_count_for_a_policy():
    """A policy counts from the start of its period: a pool that has just shrunk may grow back at once."""
    quick = {"stabilizationWindowSeconds": 0, "policies": []}
    run = Run(pool(scaleDown=quick), 20)
    assert run.step(2) == 2
    assert run.step(90, after=5) == 40


IDLE = Reading(name="s", value=0)
FAILED = Reading(name="t", error="away")
QUICK = {"scaleUp": {"policies": []}, "scaleDown": {"stabilizationWindowSeconds": 0, "policies": []}}


def test_idle_time_starts_when_all_signals_can_be_read():
    """Time without a readable signal does not count as idle: messages may have arrived."""
    spec = pool(least=0, **QUICK).model_copy(update={"idle": Idle(cooldown="2m")})
    sizes, memory = [], Memory()
    for now, readings in ((0, [IDLE, FAILED]), (150, [IDLE, FAILED]), (160, [IDLE]), (279, [IDLE]), (280, [IDLE])):
        decision, memory = decide(spec, memory, readings, current=1, now=now)
        sizes.append(decision.size)
    assert sizes == [1, 1, 1, 1, 0]


def test_without_a_cooldown_an_idle_pool_goes_at_once():
    """With `cooldown: 0s` an idle pool goes to zero at once; with a longer one it keeps one pod until then."""
    spec = pool(least=0, **QUICK)
    at_once = spec.model_copy(update={"idle": Idle(cooldown="0s")})
    assert decide(at_once, Memory(), [IDLE], current=5, now=7)[0].size == 0
    decision, _ = decide(spec, Memory(), [IDLE], current=5, now=7)
    assert (decision.size, decision.limited_by) == (1, "Cooldown")


def test_a_pool_that_never_goes_to_zero_has_no_cooldown():
    """With a `min` of 1 or more, the bound keeps the last pods of an idle pool."""
    decision, _ = decide(pool(least=2, **QUICK), Memory(), [IDLE], current=5, now=7)
    assert (decision.size, decision.limited_by) == (2, "Bounds")


def test_a_share_of_nothing_is_one_pod():
    """An empty pool whose policy is a percentage starts with one pod."""
    policies = [{"type": "Percent", "value": 50, "periodSeconds": 15}]
    spec = pool(least=0, scaleUp={"policies": policies})
    assert decide(spec, Memory(), [asks(9.0)], current=0, now=0)[0].size == 1


def test_a_fallback_waits_for_its_failures():
    """The size is held until `afterFailures` readings in a row fail; a successful reading resets the count."""
    fallback = {"afterFailures": 3, "mode": "Fallback", "replicas": 9}
    spec = pool(**QUICK).model_copy(update={"on_signal_error": OnSignalError.model_validate(fallback)})
    sizes, memory = [], Memory()
    for readings in ([FAILED], [FAILED], [asks(4.0)], [FAILED], [FAILED], [FAILED]):
        decision, memory = decide(spec, memory, readings, current=4, now=0)
        sizes.append(decision.size)
    assert sizes == [4, 4, 4, 4, 4, 9]


def test_the_limit_is_named():
    """`limited_by` names the bounds and an unreadable signal, whose recommendation is the present size."""
    decisions = [decide(pool(least=3, most=5, **QUICK), Memory(), [asks(n)], current=4, now=0)[0] for n in (1.0, 9.0)]
    assert [(d.size, d.recommended, d.limited_by) for d in decisions] == [(3, 1, "Bounds"), (5, 9, "Bounds")]
    held, _ = decide(pool(**QUICK), Memory(), [FAILED], current=7, now=0)
    assert (held.size, held.recommended, held.limited_by) == (7, 7, "SignalError")


def test_connections_wake_and_keep_awake():
    """A pool with an open connection is never idle, whatever another signal says."""
    spec = pool(least=0, **QUICK).model_copy(update={"idle": Idle(cooldown="0s")})
    sockets = read_sockets("w", WebSocketSignal(), [Load("a", 1)])
    assert decide(spec, Memory(), [IDLE, sockets], current=1, now=0)[0].size == 1
    assert decide(spec, Memory(), [IDLE, sockets], current=0, now=0)[0].size == 1


def test_activation_is_for_starting():
    """An empty pool starts when more than `activation` messages are pending, or one is unacknowledged."""
    signal = JetStreamSignal(stream="S", consumer="c", activation=5)
    woken = {
        (pending, unacked): read_backlog(
            "s", signal, Sample(at=0, pending=pending, unacked=unacked, delivered=0, pods=0), Pace(), max_unacked=0
        ).wakes
        for pending, unacked in ((5, 0), (6, 0), (0, 1))
    }
    assert woken == {(5, 0): False, (6, 0): True, (0, 1): True}


@pytest.mark.parametrize(
    ("pending", "unacked", "limit", "expected"),
    [(1, 95, 100, True), (1, 94, 100, False), (0, 100, 100, False), (1, 100, 0, False), (1, 100, -1, False)],
)
def test_a_consumer_that_is_full(pending, unacked, limit, expected):
    """The limit counts as reached from 95 % on while messages wait; without a limit it is never reached."""
    sample = Sample(at=0, pending=pending, unacked=unacked, delivered=0, pods=1)
    signal = JetStreamSignal(stream="S", consumer="c")
    assert read_backlog("s", signal, sample, Pace(), max_unacked=limit).saturated is expected


class Reference:
    """HorizontalPodAutoscaler's order: tolerance, stabilization, policies, bounds."""

    def __init__(self, spec, current):
        self.spec, self.current, self.now = spec, current, 0.0
        self.recommendations, self.ups, self.downs = [(15.0, current)], [], []

    def step(self, needed, *, after):
        """Decide some seconds later; returns the new size."""
        self.now += after
        up, down = self.spec.behavior.scale_up, self.spec.behavior.scale_down
        ratio = needed / self.current
        within = 1 - down.tolerance_percent / 100 <= ratio <= 1 + up.tolerance_percent / 100
        desired = self._stabilized(self.current if within else math.ceil(needed))
        if desired > self.current:
            size = min(desired, max(self._limit(up, max, min), self.current), self.spec.replicas.max)
        elif desired < self.current:
            size = max(desired, min(self._limit(down, min, max), self.current), self.spec.replicas.min)
        else:
            size = desired
        size = min(max(size, self.spec.replicas.min), self.spec.replicas.max)
        if size > self.current:
            self.ups.append((self.now, size - self.current))
        elif size < self.current:
            self.downs.append((self.now, self.current - size))
        self.current = size
        return size

    def _stabilized(self, desired):
        self.recommendations.append((self.now, desired))

        def since(rules):
            start = self.now - rules.stabilization_window_seconds
            return [size for at, size in self.recommendations if at > start] + [desired]

        lower = min(since(self.spec.behavior.scale_up))
        upper = max(since(self.spec.behavior.scale_down))
        return min(max(self.current, lower), upper)

    def _limit(self, rules, most_change, least_change):
        if rules.select_policy == "Disabled":
            return self.current
        sign = 1 if rules is self.spec.behavior.scale_up else -1
        proposals = []
        for policy in rules.policies:
            added, deleted = (
                sum(by for at, by in changes if at > self.now - policy.period_seconds)
                for changes in (self.ups, self.downs)
            )
            start = self.current - added + deleted
            if policy.type == "Pods":
                proposals.append(start + sign * policy.value)
            elif sign > 0:
                proposals.append(math.ceil(start * (100 + policy.value) / 100))
            else:
                proposals.append(math.floor(start * (100 - policy.value) / 100))
        if not proposals:
            return math.inf * sign
        return (least_change if rules.select_policy == "Min" else most_change)(proposals)


_policies = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["Pods", "Percent"]),
        "value": st.sampled_from([1, 3, 10, 33, 50, 100]),
        "periodSeconds": st.sampled_from([5, 15, 60]),
    }
)
_rules = st.fixed_dictionaries(
    {
        "stabilizationWindowSeconds": st.sampled_from([0, 0, 30, 300]),
        "selectPolicy": st.sampled_from(["Max", "Min"] * 4 + ["Disabled"]),
        "tolerancePercent": st.sampled_from([0, 10, 30]),
        "policies": st.lists(_policies, max_size=3),
    }
)
_steps = st.lists(
    st.tuples(st.sampled_from([1, 4, 10, 20, 61]), st.integers(0, 7).flatmap(lambda n: st.integers(1, 100 * 2**n))),
    min_size=6,
    max_size=20,
)


@settings(max_examples=500, deadline=None)
@given(_rules, _rules, st.integers(1, 10), st.integers(10, 90), st.integers(1, 60), _steps)
def test_sizes_are_those_of_a_horizontal_pod_autoscaler(up, down, least, most, current, steps):
    """For any series of needs and any behavior, each size is the one that the autoscaler's rules give."""
    spec = pool(least=least, most=most, scaleUp=up, scaleDown=down)
    ours, reference = Run(spec, current), Reference(spec, current)
    reference.recommendations[:] = [(float(steps[0][0]), current)]
    for after, hundredths in steps:
        needed = hundredths / 100
        assert ours.step(needed, after=after) == reference.step(needed, after=after)
