"""The validation rules of custom resources (`x-kubernetes-validations`), evaluated as an API server does.

A rule that reads `oldSelf` is a transition rule: it applies where there was a value before. A rule that cannot be
evaluated, as for an absent field, counts as broken.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import cel

Json = dict[str, Any]


def broken(schema: Json, value: Any, old: Any = None, path: str = "") -> Iterator[str]:
    """The messages of the rules that a value breaks; `old` is the value that it replaces, if any."""
    for rule in schema.get("x-kubernetes-validations", ()):
        if "oldSelf" in rule["rule"] and old is None:
            continue
        if reason := _reason(rule, {"self": value, "oldSelf": old}):
            yield f"{path or '.'}: {reason}"
    if isinstance(value, dict):
        before = old if isinstance(old, dict) else {}
        for name, inner in value.items():
            below = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
            if isinstance(below, dict):
                yield from broken(below, inner, before.get(name), f"{path}.{name}")
    elif isinstance(value, list):
        keys = schema.get("x-kubernetes-list-map-keys", ())
        for number, item in enumerate(value):
            yield from broken(schema["items"], item, _former(item, old, keys), f"{path}[{number}]")


def broken_defaults(schema: Json, path: str = "") -> Iterator[str]:
    """The rules that defaults in a schema break: an API server checks each default as written."""
    for name, inner in schema.get("properties", {}).items():
        if "default" in inner:
            yield from broken(inner, inner["default"], path=f"{path}.{name}.default")
        yield from broken_defaults(inner, f"{path}.{name}")
    if isinstance(schema.get("items"), dict):
        yield from broken_defaults(schema["items"], f"{path}[]")


def _former(item: Any, old: Any, keys: Any) -> Any:
    """The element of a former list that this one replaces; only lists merged by key know."""
    if not keys or not isinstance(old, list):
        return None
    return next((other for other in old if all(other.get(key) == item.get(key) for key in keys)), None)


def _reason(rule: Json, names: Json) -> str:
    try:
        holds = _compiled(rule["rule"]).execute(names)
    except (KeyError, TypeError, RuntimeError, ValueError) as failed:
        return f"{failed!r} evaluating rule: {rule['message']}"
    return "" if holds is True else str(rule["message"])


@lru_cache(maxsize=256)
def _compiled(rule: str) -> Any:
    return cel.compile(rule)
