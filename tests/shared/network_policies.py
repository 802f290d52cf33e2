"""What NetworkPolicies allow, by the rules of Kubernetes.

https://kubernetes.io/docs/concepts/services-networking/network-policies/ tells them.
Pure: rendered objects and pods in, yes or no out. Left out is what the rules leave open: pods in the host's network.
"""

import dataclasses
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Thing = Mapping[str, Any]
"""An object of Kubernetes, or a part of one."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pod:
    """One end of a connection, or an address outside: that has no namespace.

    Attributes:
        ports: The container ports that have names: protocol and number.
    """

    name: str
    address: str
    namespace: str = ""
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    ports: Mapping[str, tuple[str, int]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Network:
    """Policies and namespaces of a cluster.

    Attributes:
        policies: The NetworkPolicy objects.
        namespaces: The labels of each namespace.
        blocks_hold_pods: Whether an `ipBlock` also means pods; Kubernetes leaves that to the network.
    """

    policies: Sequence[Thing]
    namespaces: Mapping[str, Mapping[str, str]]
    blocks_hold_pods: bool = False

    def allows(self, source: Pod, target: Pod, port: int, protocol: str = "TCP") -> bool:
        """Whether a connection is allowed by the source's egress and the target's ingress."""
        if source == target:
            return True
        return self.allows_in("Egress", source, target, target, port, protocol) and self.allows_in(
            "Ingress", target, source, target, port, protocol
        )

    def allows_in(self, direction: str, pod: Pod, other: Pod, target: Pod, port: int, protocol: str) -> bool:
        """Whether the policies of one end allow it: none selects the pod, or a rule of any that does.

        `direction` is Ingress or Egress, seen from `pod`; `target` is the end that has the port.
        """
        selecting = [policy for policy in self.policies if isolates(policy, pod, direction)]
        if not selecting:
            return True
        key = {"Ingress": "from", "Egress": "to"}[direction]
        return any(
            self._is_among(rule.get(key), other, policy["metadata"]["namespace"])
            and _has_port(rule.get("ports"), target, port, protocol)
            for policy in selecting
            for rule in policy["spec"].get(direction.lower()) or []
        )

    def _is_among(self, peers: Iterable[Thing] | None, pod: Pod, namespace: str) -> bool:
        """Whether a pod is one of the peers of a rule; none named means everybody."""
        return not peers or any(self._is(peer, pod, namespace) for peer in peers)

    def _is(self, peer: Thing, pod: Pod, namespace: str) -> bool:
        if "ipBlock" in peer:
            return (self.blocks_hold_pods or not pod.namespace) and _within(peer["ipBlock"], pod.address)
        if not pod.namespace:
            return False
        if "namespaceSelector" in peer:
            place = selects(peer["namespaceSelector"], self.namespaces[pod.namespace])
        else:
            place = pod.namespace == namespace
        return place and selects(peer.get("podSelector", {}), pod.labels)


def isolates(policy: Thing, pod: Pod, direction: str) -> bool:
    """Whether a policy makes a pod closed in a direction, but for what rules allow."""
    spec = policy["spec"]
    types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if "egress" in spec else [])]
    return (
        direction in types
        and pod.namespace == policy["metadata"]["namespace"]
        and selects(spec.get("podSelector", {}), pod.labels)
    )


def selects(selector: Thing, labels: Mapping[str, str]) -> bool:
    """Whether a label selector selects these labels; an empty one selects all."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_expresses(each, labels) for each in selector.get("matchExpressions") or [])


def _expresses(expression: Thing, labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or []
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    raise ValueError(expression["operator"])


def _within(block: Thing, text: str) -> bool:
    address = ipaddress.ip_address(text)
    return address in ipaddress.ip_network(block["cidr"]) and not any(
        address in ipaddress.ip_network(each) for each in block.get("except") or []
    )


def _has_port(ports: Iterable[Thing] | None, target: Pod, port: int, protocol: str) -> bool:
    """Whether a rule means a port of the target; none named means every port."""
    return not ports or any(_is_port(each, target, port, protocol) for each in ports)


def _is_port(given: Thing, target: Pod, port: int, protocol: str) -> bool:
    if given.get("protocol", "TCP") != protocol:
        return False
    first = given.get("port")
    if first is None:
        return True
    if isinstance(first, str):
        return target.ports.get(first) == (protocol, port)
    return bool(first <= port <= given.get("endPort", first))
