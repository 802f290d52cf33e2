"""Role-based access as an API server decides it, for service accounts; plain functions over plain values.

Without a token a request is an administrator's. Emulated tokens say whose they are:
`system:serviceaccount:<namespace>:<name>`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
PREFIX = "system:serviceaccount:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A request to authorize. `resource` may name a subresource after a slash."""

    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        """The words of the API server in a refusal."""
        place = f' in the namespace "{self.namespace}"' if self.namespace else " at the cluster scope"
        return f'cannot {self.verb} resource "{self.resource}" in API group "{self.group}"{place}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The present objects of `rbac.authorization.k8s.io`."""

    roles: Iterable[Json]
    bindings: Iterable[Json]

    def allows(self, user: str, attempt: Attempt) -> bool:
        """Whether a role grants the request to a service account."""
        return any(_covers(rule, attempt) for rule in self._rules(user, attempt.namespace))

    def _rules(self, user: str, namespace: str) -> Iterator[Json]:
        roles = {(r["kind"], r["metadata"].get("namespace", ""), r["metadata"]["name"]): r for r in self.roles}
        for binding in self.bindings:
            place = binding["metadata"].get("namespace", "")
            if place in {"", namespace} and any(user == _user(subject, place) for subject in binding["subjects"]):
                named = binding["roleRef"]
                role = roles.get((named["kind"], place if named["kind"] == "Role" else "", named["name"]))
                yield from (role or {}).get("rules") or ()


def _user(subject: Json, place: str) -> str:
    return f"{PREFIX}{subject.get('namespace', place)}:{subject['name']}"


def _covers(rule: Json, attempt: Attempt) -> bool:
    named = rule.get("resourceNames")
    return (
        _among(attempt.verb, rule["verbs"])
        and _among(attempt.group, rule["apiGroups"])
        and _among(attempt.resource, rule["resources"])
        and (not named or attempt.name in named)
    )


def _among(value: str, granted: list[str]) -> bool:
    return value in granted or "*" in granted
