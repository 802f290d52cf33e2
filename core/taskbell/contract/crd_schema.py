"""Structural schemas of Kubernetes from pydantic models: OpenAPI v3, no references, every string and list limited."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

Json = dict[str, Any]

Duration = Annotated[str, StringConstraints(max_length=20, pattern=r"^([0-9]+h)?([0-9]+m)?([0-9]+s)?$", min_length=2)]
"""A duration as Kubernetes writes it: `90s`, `5m`, `1h30m`."""
Instant = Annotated[str, Field(json_schema_extra={"format": "date-time"}, max_length=40)]
"""RFC 3339, in UTC."""
Name = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
"""The name of a Kubernetes object."""
Label = Annotated[str, StringConstraints(max_length=63)]

_DROPPED = {"title", "$defs", "additionalProperties", "propertyNames"}
_UNITS = {"h": 3600, "m": 60, "s": 1}


class Model(BaseModel):
    """Part of a custom resource: camelCase on the wire, unknown fields ignored, docstrings as descriptions."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore", use_attribute_docstrings=True
    )


class Condition(Model):
    """One condition of an object, as in all Kubernetes APIs."""

    type: str = Field(max_length=64)
    """Ready, Progressing or Degraded."""
    status: str = Field(max_length=7, json_schema_extra={"enum": ["True", "False", "Unknown"]})
    """Whether the condition holds."""
    reason: str = Field(max_length=128)
    """One CamelCase word for programs; it does not change between versions."""
    message: str = Field(max_length=1024)
    """For people, with the numbers."""
    last_transition_time: Instant
    """When the status last changed."""
    observed_generation: int = Field(ge=0)
    """The generation of the object that the condition describes."""


Conditions = Annotated[
    list[Condition],
    Field(
        max_length=8,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    ),
]


def rule(cel: str, message: str) -> Json:
    """One validation rule of the API server."""
    return {"rule": cel, "message": message}


def rules(*stated: Json) -> Json:
    """Validation rules as part of a schema."""
    return {"x-kubernetes-validations": list(stated)}


def seconds(duration: str) -> int:
    """The length of a `Duration` in seconds."""
    total, number = 0, ""
    for letter in duration:
        if letter in _UNITS:
            total += int(number) * _UNITS[letter]
            number = ""
        else:
            number += letter
    return total


def structural(model: type[BaseModel]) -> Json:
    """The structural schema of a model: references are resolved, and an optional field may be absent but not null."""
    whole = model.model_json_schema(by_alias=True)
    definitions: Json = whole.get("$defs", {})

    def plain(node: Any) -> Any:
        if isinstance(node, list):
            return [plain(item) for item in node]
        if not isinstance(node, dict):
            return node
        return flattened(node)

    def flattened(node: Json) -> Json:
        if "$ref" in node:
            target = definitions[str(node["$ref"]).rsplit("/", 1)[-1]]
            node = {**target, **{name: value for name, value in node.items() if name != "$ref"}}
        if "anyOf" in node:
            (real,) = (option for option in node["anyOf"] if option != {"type": "null"})
            return flattened({**real, **{name: value for name, value in node.items() if name != "anyOf"}})
        values = node.get("additionalProperties")
        result = {
            name: plain(value)
            for name, value in node.items()
            if name not in _DROPPED | {"properties"} and not (name == "default" and value is None)
        }
        if "const" in result:
            result["enum"] = [result.pop("const")]
        if "properties" in node:
            required = node.get("required", ())
            result["properties"] = {
                name: _completed(plain(value)) if "$ref" in value and name not in required else plain(value)
                for name, value in node["properties"].items()
            }
        if isinstance(values, dict):
            result["additionalProperties"] = plain(values)
        return result

    return flattened(whole)


def _completed(schema: Json) -> Json:
    """An optional object with a default, so that the defaults of its fields apply when it is absent.

    The default lists the fields, because the API server checks the rules of an object against its default as written.
    """
    return {
        "default": {n: inner["default"] for n, inner in schema["properties"].items() if "default" in inner}
    } | schema


def explained(schema: Json) -> Json:
    """The schema with the default and the limits of each field in its description: `kubectl explain` shows neither."""
    result = dict(schema)
    if "properties" in schema:
        result["properties"] = {name: _told(explained(inner)) for name, inner in schema["properties"].items()}
    if "items" in schema:
        result["items"] = explained(schema["items"])
    return result


def _told(schema: Json) -> Json:
    return schema | {"description": " ".join([schema.get("description", ""), *_limits(schema)]).strip()}


def _limits(schema: Json) -> list[str]:
    """The default and the limits of a field as sentences. An object says nothing: its fields do."""
    told = []
    if "default" in schema and "properties" not in schema:
        told.append(f"Default: {_shown(schema['default'])}.")
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and most is not None:
        told.append(f"From {least} to {most}.")
    longest = {"string": "maxLength", "array": "maxItems", "object": "maxProperties"}.get(schema["type"], "")
    if longest in schema and "enum" not in schema:
        told.append(f"At most {schema[longest]} {'characters' if longest == 'maxLength' else 'entries'}.")
    return told


def _shown(default: Any) -> str:
    """A default as a person writes it; an empty one is `none`."""
    if isinstance(default, str):
        return default or "none"
    return json.dumps(default) if default or default in (0, False) else "none"
