"""The objects of an emulated Kubernetes API server: versions, generations, ownership, finalizers, garbage."""

from __future__ import annotations

import copy
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from kubernetes_emulator import schema as schemas
from kubernetes_emulator.defaults import filled_in
from kubernetes_emulator.fields import Json, Path, find, leaves, merged, without
from kubernetes_emulator.rules import broken


class Refused(Exception):
    """The API server answers with an error status; `reason` is its CamelCase word."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of object that the server serves.

    Attributes:
        schema: Structural schema of a custom kind; None leaves objects as they come.
        replicas_path: Where the scale subresource finds the wanted size; None if there is no such subresource.
        selector_path: Where it finds the label selector in text form; empty builds it from `spec.selector`.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    status: bool = True
    schema: Json | None = None
    replicas_path: Path | None = None
    status_replicas_path: Path = ("status", "replicas")
    selector_path: Path = ()

    @property
    def api_version(self) -> str:
        """Group and version as objects spell them."""
        return f"{self.group}/{self.version}" if self.group else self.version


@dataclass(slots=True)
class _Stored:
    kind: Kind
    body: Json
    owned: dict[tuple[str, str, str], set[Path]] = field(default_factory=dict)
    """Leaves by manager, operation (Apply or Update) and subresource."""


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the log that watches read."""

    version: int
    type: str
    kind: Kind
    body: Json


_SERVER_FIELDS = ("uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "managedFields")


class Store:
    """All objects and the log of their changes. Not thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Take the Unix time that objects are stamped with."""
        self._clock = clock
        self.version = 1
        self.changes: list[Change] = []
        self._objects: dict[tuple[str, str, str, str], _Stored] = {}

    def _now(self) -> str:
        return datetime.fromtimestamp(self._clock(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    @staticmethod
    def _key(kind: Kind, namespace: str, name: str) -> tuple[str, str, str, str]:
        return kind.group, kind.plural, namespace if kind.namespaced else "", name

    def get(self, kind: Kind, namespace: str, name: str) -> Json:
        """A copy of an object, or `Refused` with 404."""
        return self._shown(self._stored(kind, namespace, name))

    def exists(self, kind: Kind, namespace: str, name: str) -> bool:
        """Whether there is such an object."""
        return self._key(kind, namespace, name) in self._objects

    def all(self, kind: Kind, namespace: str | None = None) -> Iterator[Json]:
        """Copies of all objects of a kind, in one namespace or in all."""
        for (group, plural, place, _), stored in sorted(self._objects.items()):
            if (group, plural) == (kind.group, kind.plural) and namespace in {None, place}:
                yield self._shown(stored)

    def create(self, kind: Kind, namespace: str, body: Json, *, manager: str, operation: str = "Update") -> Json:
        """Add an object; 409 AlreadyExists if its name is taken."""
        metadata = dict(body.get("metadata") or {})
        name = metadata["name"]
        if self.exists(kind, namespace, name):
            raise Refused(409, "AlreadyExists", f'{kind.plural} "{name}" already exists')
        sent = {name: value for name, value in body.items() if not (kind.status and name == "status")}
        metadata |= {
            "uid": str(uuid.uuid4()),
            "generation": 1,
            "creationTimestamp": self._now(),
        }
        if kind.namespaced:
            metadata["namespace"] = namespace
        new = self._completed(kind, {**sent, "metadata": metadata})
        stored = _Stored(kind, new)
        stored.owned[manager, operation, ""] = _ownable(sent)
        self._objects[self._key(kind, namespace, name)] = stored
        self._record("ADDED", stored)
        shown = self._shown(stored)
        owners = {owner["uid"] for owner in metadata.get("ownerReferences", [])}
        if owners and owners.isdisjoint(other.body["metadata"]["uid"] for other in self._objects.values()):
            self.delete(kind, namespace, name)  # as the garbage collector does with an orphan
        return shown

    def update(self, kind: Kind, namespace: str, name: str, body: Json, *, manager: str, subresource: str = "") -> Json:
        """Replace an object, or its status; 409 Conflict if it names an old version."""
        stored = self._expected(kind, namespace, name, body)
        before = stored.body
        self._put(stored, body, subresource)
        touched = {path for path in _ownable(stored.body) if find(stored.body, path) != find(before, path)}
        self._own(stored, (manager, "Update", subresource), touched, add=True)
        return self._shown(stored)

    def apply(
        self, kind: Kind, namespace: str, name: str, body: Json, *, manager: str, force: bool, subresource: str = ""
    ) -> Json:
        """Server-side apply.

        409 Conflict if it names an old version, or if another manager owns a field with another value and `force` is
        off.
        """
        body = {**body, "metadata": {**body.get("metadata", {}), "name": name}}
        if not self.exists(kind, namespace, name):
            if subresource:
                raise Refused(404, "NotFound", f'{kind.plural} "{name}" not found')
            return self.create(kind, namespace, body, manager=manager, operation="Apply")
        stored = self._expected(kind, namespace, name, body)
        visible = {key: value for key, value in body.items() if (key == "status") == bool(subresource)}
        paths = _ownable(visible)
        mine = (manager, "Apply", subresource)
        contested = [
            (other[0], path)
            for other, owned in stored.owned.items()
            if other != mine
            for path in paths & owned
            if find(stored.body, path) != find(visible, path)
        ]
        if contested and not force:
            others = ", ".join(sorted({name for name, _ in contested}))
            raise Refused(409, "Conflict", f"Apply failed with {len(contested)} conflict(s) with {others}")
        elsewhere = set().union(*(owned for other, owned in stored.owned.items() if other != mine))
        result = merged(stored.body, visible)
        for path in stored.owned.get(mine, set()) - paths - elsewhere:
            result = without(result, path)
        self._put(stored, result, subresource)
        self._own(stored, mine, paths, add=False, stolen={path for _, path in contested})
        return self._shown(stored)

    def delete(self, kind: Kind, namespace: str, name: str, *, orphan: bool = False) -> Json:
        """Remove an object and the objects that it alone owns; an object with finalizers is only marked.

        With `orphan` what it owns stays, without the reference.
        """
        stored = self._stored(kind, namespace, name)
        if stored.body["metadata"].get("finalizers"):
            stored.body = copy.deepcopy(stored.body)
            stored.body["metadata"].setdefault("deletionTimestamp", self._now())
            self._record("MODIFIED", stored)
            return self._shown(stored)
        del self._objects[self._key(kind, namespace, name)]
        self._record("DELETED", stored)
        uid = stored.body["metadata"]["uid"]
        for other in [*self._objects.values()]:
            owners = other.body["metadata"].get("ownerReferences", [])
            metadata = other.body["metadata"]
            if orphan and any(owner["uid"] == uid for owner in owners):
                kept = [owner for owner in owners if owner["uid"] != uid]
                other.body = {**other.body, "metadata": {**metadata, "ownerReferences": kept}}
                self._record("MODIFIED", other)
            elif owners and all(owner["uid"] == uid for owner in owners):
                self.delete(other.kind, metadata.get("namespace", ""), metadata["name"])
        return self._shown(stored)

    def _expected(self, kind: Kind, namespace: str, name: str, body: Json) -> _Stored:
        """The stored object; 409 Conflict if the new body names another version of it."""
        stored = self._stored(kind, namespace, name)
        wanted = body.get("metadata", {}).get("resourceVersion")
        if wanted and wanted != stored.body["metadata"]["resourceVersion"]:
            raise Refused(409, "Conflict", f'{kind.plural} "{name}": the object has been modified')
        return stored

    def _stored(self, kind: Kind, namespace: str, name: str) -> _Stored:
        try:
            stored = self._objects[self._key(kind, namespace, name)]
        except KeyError:
            raise Refused(404, "NotFound", f'{kind.plural} "{name}" not found') from None
        stored.kind = kind  # its definition may have changed since
        return stored

    def _put(self, stored: _Stored, body: Json, subresource: str) -> None:
        """Store the part of a body that this kind of write may change; without a change there is no new version."""
        old, kind = stored.body, stored.kind
        if subresource == "status":
            new = {**old, "status": body.get("status", {})}
        else:
            new = {**body, **({"status": old["status"]} if kind.status and "status" in old else {})}
            if kind.status and "status" not in old:
                new.pop("status", None)
            kept = {name: old["metadata"][name] for name in _SERVER_FIELDS if name in old["metadata"]}
            sent = {name: value for name, value in new.get("metadata", {}).items() if name not in _SERVER_FIELDS}
            new["metadata"] = {**sent, **kept}
        new = self._completed(kind, new, old)
        if new == old:
            return
        if _declared(new) != _declared(old):
            new["metadata"] = {**new["metadata"], "generation": old["metadata"]["generation"] + 1}
        stored.body = new
        if new["metadata"].get("deletionTimestamp") and not new["metadata"].get("finalizers"):
            self.delete(kind, new["metadata"].get("namespace", ""), new["metadata"]["name"])
            return
        self._record("MODIFIED", stored)

    def _completed(self, kind: Kind, body: Json, old: Json | None = None) -> Json:
        body = copy.deepcopy({**body, "apiVersion": kind.api_version, "kind": kind.kind})
        if kind.schema is None:
            return filled_in(kind.kind, body)
        checked = {name: body[name] for name in ("spec", "status") if name in body}
        checked = schemas.completed(kind.schema, checked)
        new = {"apiVersion": body["apiVersion"], "kind": body["kind"], "metadata": body["metadata"], **checked}
        found = [*schemas.faults({**kind.schema, "required": ["spec"]}, checked)] or [*broken(kind.schema, new, old)]
        if found:
            raise Refused(422, "Invalid", f"{kind.kind} is invalid: {'; '.join(found)}")
        return new

    def _own(
        self,
        stored: _Stored,
        owner: tuple[str, str, str],
        paths: set[Path],
        *,
        add: bool,
        stolen: set[Path] | None = None,
    ) -> None:
        for other, owned in stored.owned.items():
            if other != owner:
                owned.difference_update(paths if stolen is None else stolen)
        stored.owned[owner] = stored.owned.get(owner, set()) | paths if add else paths

    def _record(self, type_: str, stored: _Stored) -> None:
        self.version += 1
        metadata = {**stored.body["metadata"], "resourceVersion": str(self.version)}
        stored.body = {**stored.body, "metadata": metadata}
        self.changes.append(Change(self.version, type_, stored.kind, self._shown(stored)))

    @staticmethod
    def _shown(stored: _Stored) -> Json:
        body = copy.deepcopy(stored.body)
        body["metadata"]["managedFields"] = [
            {"manager": manager, "operation": operation, **({"subresource": subresource} if subresource else {})}
            for (manager, operation, subresource), paths in sorted(stored.owned.items())
            if paths
        ]
        return body


def _ownable(body: Json) -> set[Path]:
    """The leaves that a manager can own: neither the identity nor the fields that the server writes."""
    skipped = {("metadata", name) for name in ("name", "namespace", *_SERVER_FIELDS)}
    return {path for path in leaves(body) if path and path[0] not in {"apiVersion", "kind"} and path[:2] not in skipped}


def _declared(body: Json) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in {"metadata", "status"}}
