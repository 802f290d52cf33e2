"""Rewrites schemas into shapes that generators of clients take; each says the same as before.

Tried with openapi-generator 7 for Python, TypeScript and Go (docs/how-to/generate-a-client.md).
"""

from __future__ import annotations

from typing import Any

_VALUES = frozenset({"const", "default", "enum", "example", "examples"})
_NULL = {"type": "null"}


def simplified(part: Any) -> Any:
    """A part of the document, all schemas in it simplified.

    - `anyOf` a type or null becomes the list of both types: Python's generator knows no property of type null.
    - `anyOf` a named schema or null becomes `oneOf`, of which generators take the null for what it is.
    - Titles that only repeat a name go: generators name types after them, and the names of two clash.
    - An enumeration or a constant says its type, too.
    """
    if isinstance(part, list):
        return [simplified(each) for each in part]
    if not isinstance(part, dict):
        return part
    found = {key: value if key in _VALUES else _named(key, value) for key, value in part.items()}
    if isinstance(found.get("title"), str) and not isinstance(found.get("version"), str):
        del found["title"]
    return _typed(_with_null(found))


def inline_nullable(schemas: dict[str, Any]) -> None:
    """Write a named schema or null out, where it is in an object that permits no other properties.

    There generators do not take `oneOf` for what it is.
    """
    for schema in schemas.values():
        if schema.get("additionalProperties") is False:
            for name, field in schema.get("properties", {}).items():
                schema["properties"][name] = _written_out(field, schemas)


def _written_out(field: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    some = field.get("oneOf")
    if not isinstance(some, list) or _NULL not in some or len(some) != 2:
        return field
    (reference,) = (each["$ref"] for each in some if each != _NULL)
    rest = {key: value for key, value in field.items() if key != "oneOf"}
    return _with_null({"anyOf": [schemas[reference.rpartition("/")[2]], _NULL], **rest})


def _named(key: str, value: Any) -> Any:
    """Properties are named by whoever made the schema: `title` and `default` may be among them."""
    if key in {"properties", "headers", "schemas"} and isinstance(value, dict):
        return {name: simplified(each) for name, each in value.items()}
    return simplified(value)


def _with_null(schema: dict[str, Any]) -> dict[str, Any]:
    some = schema.get("anyOf")
    if not isinstance(some, list) or _NULL not in some or len(some) != 2:
        return schema
    (other,) = (each for each in some if each != _NULL)
    if "$ref" in other:
        return {"oneOf" if key == "anyOf" else key: value for key, value in schema.items() if key != "default"}
    if not isinstance(other.get("type"), str):
        return schema
    merged = {**other, **{key: value for key, value in schema.items() if key != "anyOf"}}
    merged["type"] = [other["type"], "null"]
    if "enum" in other:
        merged["enum"] = [*other["enum"], None]
    return merged


def _typed(schema: dict[str, Any]) -> dict[str, Any]:
    values = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if "type" not in schema and isinstance(values, list) and values and all(isinstance(each, str) for each in values):
        return {"type": "string", **schema}
    return schema
