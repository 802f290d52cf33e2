"""What an Ingress or an HTTPRoute says, as rules that any proxy can be configured from."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

Thing = Mapping[str, Any]
"""An object of Kubernetes."""


@dataclasses.dataclass(frozen=True)
class Rule:
    """Requests for a host whose path is this one, or begins with its elements, go to a port of a Service."""

    host: str
    path: str
    exact: bool
    service: str
    port: int

    def matches(self, host: str, path: str) -> bool:
        """Whether a request is meant: `/v1` matches `/v1` and `/v1/tasks`, and not `/v10`."""
        if host.lower() != self.host:
            return False
        return path == self.path or (not self.exact and path.startswith(self.path.rstrip("/") + "/"))


def rules(things: Iterable[Thing]) -> list[Rule]:
    """The rules of all Ingresses and HTTPRoutes among rendered objects, those that win first.

    Raises:
        LookupError: A rule names a Service or a port that is not among the objects.
    """
    things = list(things)
    services = {thing["metadata"]["name"]: thing for thing in things if thing["kind"] == "Service"}
    found = [
        rule
        for thing in things
        for rule in {"Ingress": _of_ingress, "HTTPRoute": _of_route}.get(thing["kind"], _none)(thing, services)
    ]
    return sorted(found, key=lambda rule: (not rule.exact, -len(rule.path)))


def certificates(things: Iterable[Thing]) -> dict[str, str]:
    """The Secret that holds the certificate of each host, as the Ingresses say."""
    return {
        host: entry["secretName"]
        for thing in things
        if thing["kind"] == "Ingress"
        for entry in thing["spec"].get("tls", [])
        for host in entry["hosts"]
    }


def _none(_thing: Thing, _services: Mapping[str, Thing]) -> list[Rule]:
    return []


def _of_ingress(thing: Thing, services: Mapping[str, Thing]) -> list[Rule]:
    made = []
    for rule in thing["spec"]["rules"]:
        for path in rule["http"]["paths"]:
            backend = path["backend"]["service"]
            exact = {"Exact": True, "Prefix": False}[path["pathType"]]
            port = _port(services[backend["name"]], **backend["port"])
            made.append(Rule(rule["host"], path["path"], exact, backend["name"], port))
    return made


def _of_route(thing: Thing, services: Mapping[str, Thing]) -> list[Rule]:
    made = []
    for rule in thing["spec"]["rules"]:
        (backend,) = rule["backendRefs"]
        port = _port(services[backend["name"]], number=backend["port"])
        for match in rule["matches"]:
            exact = {"Exact": True, "PathPrefix": False}[match["path"]["type"]]
            made += [
                Rule(host, match["path"]["value"], exact, backend["name"], port) for host in thing["spec"]["hostnames"]
            ]
    return made


def _port(service: Thing, *, name: str | None = None, number: int | None = None) -> int:
    """The port of a Service by its name or number. Raises `LookupError` if it has none such."""
    for port in service["spec"]["ports"]:
        if name == port.get("name") if number is None else number == port["port"]:
            return int(port["port"])
    raise LookupError(f"Service {service['metadata']['name']} has no port {name or number}")
