"""The evaluator of network policies keeps Kubernetes' rules, for any policies."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network_policies import Network, Pod, isolates, selects

NAMESPACES = {"a": {"team": "one"}, "b": {"team": "two"}}
PODS = [
    Pod(name=f"{place}-{role}", address=f"10.0.{number}.1", namespace=place, labels={"role": role}, ports=ports)
    for number, (place, role, ports) in enumerate(
        [("a", "web", {"http": ("TCP", 80)}), ("a", "db", {"sql": ("TCP", 90)}), ("b", "web", {}), ("b", "db", {})]
    )
]
ENDS = [*PODS, Pod(name="outside", address="203.0.113.9")]

labels = st.sampled_from(
    [
        {},
        {"matchLabels": {"role": "web"}},
        {"matchLabels": {"role": "db"}},
        {"matchExpressions": [{"key": "role", "operator": "NotIn", "values": ["web"]}]},
        {"matchExpressions": [{"key": "role", "operator": "Exists"}]},
        {"matchExpressions": [{"key": "role", "operator": "DoesNotExist"}]},
    ]
)
places = st.sampled_from(
    [{}, {"matchLabels": {"team": "one"}}, {"matchExpressions": [{"key": "team", "operator": "In", "values": ["two"]}]}]
)
peers = st.one_of(
    st.fixed_dictionaries({"podSelector": labels}),
    st.fixed_dictionaries({"namespaceSelector": places}),
    st.fixed_dictionaries({"namespaceSelector": places, "podSelector": labels}),
    st.sampled_from(
        [
            {"ipBlock": {"cidr": "0.0.0.0/0"}},
            {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["203.0.113.0/24"]}},
            {"ipBlock": {"cidr": "203.0.113.9/32"}},
        ]
    ),
)
ports = st.sampled_from(
    [{"port": 80}, {"port": "http"}, {"port": 79, "endPort": 90}, {"protocol": "UDP"}, {"protocol": "TCP", "port": 90}]
)


def rules(key):
    """Rules of a direction."""
    return st.lists(
        st.fixed_dictionaries({}, optional={key: st.lists(peers, max_size=3), "ports": st.lists(ports, max_size=2)}),
        max_size=2,
    )


policies = st.lists(
    st.builds(
        lambda place, spec: {"metadata": {"namespace": place}, "spec": spec},
        st.sampled_from(["a", "b"]),
        st.fixed_dictionaries(
            {"podSelector": labels},
            optional={
                "policyTypes": st.sampled_from([["Ingress"], ["Egress"], ["Ingress", "Egress"]]),
                "ingress": rules("from"),
                "egress": rules("to"),
            },
        ),
    ),
    max_size=4,
)
connections = st.tuples(
    st.sampled_from(ENDS), st.sampled_from(ENDS), st.sampled_from([80, 85, 90, 91]), st.sampled_from(["TCP", "UDP"])
)


def network(made, **more):
    """A network with these policies."""
    return Network(policies=made, namespaces=NAMESPACES, **more)


def meant(peer, place):
    """The ends that a peer means, counted out one by one: the other way to say what `Network` decides."""
    if "ipBlock" in peer:
        block = ipaddress.ip_network(peer["ipBlock"]["cidr"])
        out = [ipaddress.ip_network(each) for each in peer["ipBlock"].get("except", [])]
        address = ipaddress.ip_address("203.0.113.9")
        return {"outside"} if address in block and not any(address in each for each in out) else set()
    inside = {pod.name for pod in PODS if pod.namespace == place}
    if "namespaceSelector" in peer:
        chosen = {name for name, found in NAMESPACES.items() if selects(peer["namespaceSelector"], found)}
        inside = {pod.name for pod in PODS if pod.namespace in chosen}
    return inside & {pod.name for pod in PODS if selects(peer.get("podSelector", {}), pod.labels)}


def numbers(given_ports, target):
    """The ports of a target that a rule means, counted out one by one."""
    every = {(protocol, number) for protocol in ("TCP", "UDP") for number in range(70, 100)}
    if not given_ports:
        return every
    found = set()
    for each in given_ports:
        first, protocol = each.get("port"), each.get("protocol", "TCP")
        if isinstance(first, str):
            found |= {pair for pair in every if pair[0] == protocol and pair == target.ports.get(first)}
        else:
            last = each.get("endPort", first)
            found |= {pair for pair in every if pair[0] == protocol and (first is None or first <= pair[1] <= last)}
    return found


def admitted(policy, direction, target):
    """What one policy admits: names of other ends with ports of the target."""
    rules_here = policy["spec"].get(direction.lower(), [])
    key = {"Ingress": "from", "Egress": "to"}[direction]
    return {
        (name, *pair)
        for rule in rules_here
        for name in (
            set().union(*(meant(peer, policy["metadata"]["namespace"]) for peer in rule[key]))
            if rule.get(key)
            else {end.name for end in ENDS}
        )
        for pair in numbers(rule.get("ports"), target)
    }


@given(policies, connections)
def test_it_decides_as_one_who_counts_everything_out(made, connection):
    """An end that policies select admits the union of what each of them admits; any other end admits everything."""
    source, target, port, protocol = connection
    wanted = source == target
    if not wanted:
        wanted = True
        for direction, pod, other in (("Egress", source, target), ("Ingress", target, source)):
            closing = [policy for policy in made if isolates(policy, pod, direction)]
            union = set().union(*(admitted(policy, direction, target) for policy in closing))
            wanted &= not closing or (other.name, protocol, port) in union
    assert network(made).allows(*connection) == wanted


@given(policies, connections)
def test_order_and_repetition_change_nothing(made, connection):
    """Policies add up: their order does not matter, and twice the same is once."""
    found = network(made).allows(*connection)
    assert network(made[::-1]).allows(*connection) == found
    assert network(made * 2).allows(*connection) == found


@given(policies, connections)
def test_an_open_policy_opens_and_a_closed_one_closes_nothing_that_is_closed(made, connection):
    """With a policy for all pods that allows everything, everything is allowed; one without rules never opens."""
    both = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    everywhere = [{"metadata": {"namespace": place}, "spec": both} for place in NAMESPACES]
    opened = [{**each, "spec": {**both, "ingress": [{}], "egress": [{}]}} for each in everywhere]
    assert network(made + opened).allows(*connection)
    assert network(made + everywhere).allows(*connection) <= network(made).allows(*connection)


@pytest.mark.parametrize(
    ("spec", "ingress", "egress"),
    [
        ({"podSelector": {}}, True, False),
        ({"podSelector": {}, "egress": []}, True, True),
        ({"podSelector": {}, "policyTypes": ["Egress"]}, False, True),
        ({"podSelector": {"matchLabels": {"role": "other"}}}, False, False),
    ],
)
def test_types_say_what_a_policy_closes(spec, ingress, egress):
    """Without `policyTypes` a policy closes the way in, and the way out only if it has `egress`."""
    policy = {"metadata": {"namespace": "a"}, "spec": spec}
    assert isolates(policy, PODS[0], "Ingress") is ingress
    assert isolates(policy, PODS[0], "Egress") is egress
    assert not isolates(policy, PODS[2], "Ingress")


def test_blocks_may_hold_pods():
    """Whether an `ipBlock` means a pod is the network's choice; a range that leaves the pod out never does."""
    rule = {"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.3.0/24"]}}]}
    made = [{"metadata": {"namespace": "a"}, "spec": {"podSelector": {}, "ingress": [rule]}}]
    assert not network(made).allows(PODS[2], PODS[0], 80)
    assert network(made, blocks_hold_pods=True).allows(PODS[2], PODS[0], 80)
    assert not network(made, blocks_hold_pods=True).allows(PODS[3], PODS[0], 80)
