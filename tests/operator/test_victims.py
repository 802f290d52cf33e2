"""Which pods a shrinking pool of gateways loses."""

from hypothesis import given
from hypothesis import strategies as st

from taskbell.operator.plan.victims import Load, deletion_costs

_counts = st.integers(0, 50_000)
_costs = st.one_of(st.none(), _counts.map(str), st.just("by hand"))


@given(st.lists(st.tuples(_counts, _costs), max_size=20), st.integers(0, 20))
def test_no_choice_of_pods_has_fewer_connections(pods, going):
    """The pods with the lowest costs are the pods with the fewest connections."""
    loads = [Load(f"pod-{number}", count, cost) for number, (count, cost) in enumerate(pods)]
    changed = deletion_costs(loads)
    borne = {load.pod: changed.get(load.pod, load.cost or "0") for load in loads}
    order = sorted(loads, key=lambda load: int(borne[load.pod]))
    assert sum(load.connections for load in order[:going]) == sum(sorted(load.connections for load in loads)[:going])
    assert deletion_costs([Load(load.pod, load.connections, borne[load.pod]) for load in loads]) == {}


def test_connections_of_several_signals_are_added_up():
    """The cost of a pod is the sum of its connections of all signals."""
    assert deletion_costs([Load("a", 3, "3"), Load("a", 4, "3"), Load("b", 7, "7")]) == {"a": "7"}
