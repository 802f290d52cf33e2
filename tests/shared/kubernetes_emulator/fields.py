"""Field ownership as server-side apply defines it: which leaf of an object belongs to which manager.

A path is a tuple of field names; an element of a list merged by key appears in it as a `Key`. All other lists are
atomic: one leaf. Plain functions over plain values.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

Json = dict[str, Any]

_MERGE_KEYS = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "ports": ("containerPort", "protocol"),
    "conditions": ("type",),
    "ownerReferences": ("uid",),
}
"""Lists that Kubernetes merges by key, by field name; exact for the kinds that Taskbell writes."""


class Key(NamedTuple):
    """Names one element of a list that is merged by key."""

    values: tuple[tuple[str, Any], ...]


Path = tuple["str | Key", ...]


def merge_keys(field: str, items: list[Any]) -> tuple[str, ...]:
    """The keys by which a list is merged; empty for an atomic list."""
    keys = _MERGE_KEYS.get(field, ())
    whole = all(isinstance(item, dict) and any(key in item for key in keys) for item in items)
    return keys if whole else ()


def element_key(item: Json, keys: tuple[str, ...]) -> Key:
    """The key of one element."""
    return Key(tuple((key, item.get(key)) for key in keys))


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    """Paths of all leaves of a value. Empty objects and elements count as leaves, so that they can be owned."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from leaves(inner, (*path, name))
    elif isinstance(value, list) and value and path and (keys := merge_keys(str(path[-1]), value)):
        for item in value:
            yield from leaves(item, (*path, element_key(item, keys)))
    else:
        yield path


def find(value: Any, path: Path) -> Any:
    """The value at a path, or None."""
    for step in path:
        value = _element(value, step) if isinstance(step, Key) else _field(value, step)
        if value is None:
            return None
    return value


def _field(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _element(items: Any, key: Key) -> Any:
    if not isinstance(items, list):
        return None
    names = tuple(name for name, _ in key.values)
    return next((item for item in items if isinstance(item, dict) and element_key(item, names) == key), None)


def merged(live: Any, applied: Any, field: str = "") -> Any:
    """The live value with an applied one over it: objects and keyed lists merge, all else is replaced."""
    if isinstance(live, dict) and isinstance(applied, dict):
        result = dict(live)
        for name, inner in applied.items():
            result[name] = merged(live.get(name), inner, name)
        return result
    if isinstance(live, list) and isinstance(applied, list) and (keys := merge_keys(field, [*live, *applied])):
        added = {element_key(item, keys): item for item in applied}
        kept = [merged(item, added.pop(element_key(item, keys), {})) for item in live]
        return kept + list(added.values())
    return applied


def without(value: Any, path: Path) -> Any:
    """The value without what is at a path. Objects that become empty are removed, and elements without their key."""
    step, rest = path[0], path[1:]
    if isinstance(step, Key):
        element = _element(value, step)
        if element is None:
            return value
        gone = rest[0] in {name for name, _ in step.values}
        inner = [] if gone else [without(element, rest)]
        return [other for item in value for other in (inner if item is element else [item])]
    if not isinstance(value, dict) or step not in value:
        return value
    if not rest:
        return {name: inner for name, inner in value.items() if name != step}
    inner = without(value[step], rest)
    if inner in ({}, []) and inner != value[step]:
        return {name: other for name, other in value.items() if name != step}
    return {**value, step: inner}


def patched(value: Any, patch: Any) -> Any:
    """A value after a JSON merge patch (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    result = dict(value) if isinstance(value, dict) else {}
    for name, inner in patch.items():
        if inner is None:
            result.pop(name, None)
        else:
            result[name] = patched(result.get(name), inner)
    return result
