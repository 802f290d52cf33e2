"""What an API server does with a structural schema: fill defaults, prune unknown fields, refuse wrong values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
}


def completed(schema: Json, value: Any) -> Any:
    """The value with defaults and without unknown fields."""
    if isinstance(value, dict) and "properties" in schema:
        properties: Json = schema["properties"]
        known = {name: inner for name, inner in value.items() if name in properties}
        for name, inner in properties.items():
            if "default" in inner:
                known.setdefault(name, inner["default"])
        return {name: completed(properties[name], inner) for name, inner in known.items()}
    if isinstance(value, list) and "items" in schema:
        return [completed(schema["items"], item) for item in value]
    return value


def faults(schema: Json, value: Any, path: str = "") -> Iterator[str]:
    """The errors of a value, one line each."""
    expected = schema.get("type")
    if expected is not None and (
        not isinstance(value, _TYPES[expected]) or (isinstance(value, bool) and expected != "boolean")
    ):
        yield f"{path}: must be of type {expected}"
        return
    if schema.get("x-kubernetes-int-or-string") and (isinstance(value, bool) or not isinstance(value, int | str)):
        yield f"{path}: must be an integer or a string"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: unsupported value {value!r}"
    yield from _inner_faults(schema, value, path)


def _inner_faults(schema: Json, value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        yield from _object_faults(schema, value, path)
    elif isinstance(value, list):
        yield from _size_faults(schema, len(value), path, words=("minItems", "maxItems"))
        for number, item in enumerate(value):
            yield from faults(schema.get("items", {}), item, f"{path}[{number}]")
    elif isinstance(value, str):
        yield from _size_faults(schema, len(value), path, words=("minLength", "maxLength"))
        if "pattern" in schema and not re.search(schema["pattern"], value):
            yield f"{path}: must match {schema['pattern']}"
    elif isinstance(value, int | float):
        yield from _size_faults(schema, value, path, words=("minimum", "maximum"))


def _object_faults(schema: Json, value: Json, path: str) -> Iterator[str]:
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{path}.{name}: required"
    yield from _size_faults(schema, len(value), path, words=("minProperties", "maxProperties"))
    for name, inner in value.items():
        below = schema.get("properties", {}).get(name, schema.get("additionalProperties", {}))
        if isinstance(below, dict):
            yield from faults(below, inner, f"{path}.{name}")


def _size_faults(schema: Json, size: float, path: str, *, words: tuple[str, str]) -> Iterator[str]:
    least, most = words
    if least in schema and size < schema[least]:
        yield f"{path}: {least} is {schema[least]}"
    if most in schema and size > schema[most]:
        yield f"{path}: {most} is {schema[most]}"
