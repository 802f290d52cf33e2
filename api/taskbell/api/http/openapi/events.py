"""The `webhooks` of the OpenAPI document, from the contract's schemas of events.

The contract's schemas refer to each other and say more than generators of clients take, such as what must not be in
them. Here each event is a type of its own with plain properties; a reader ignores properties that it does not know.
"""

from __future__ import annotations

from typing import Any

from taskbell.contract.events import EventType
from taskbell.contract.schemas.documents import event_schemas
from taskbell.contract.webhooks import HEADER_ID, HEADER_SIGNATURE, HEADER_TIMESTAMP, TEST_TYPE, is_shared

_PREFIX = "#/components/schemas/"
_TEST_DATA: dict[str, Any] = {
    "description": "A test that somebody asked for",
    "type": "object",
    "properties": {
        "id": {"type": "string", "format": "uuid", "description": "The webhook's id."},
        "message": {"type": "string", "examples": ["This is a test."]},
    },
    "required": ["id", "message"],
}
_PARAMETERS: list[dict[str, Any]] = [
    {
        "name": HEADER_ID,
        "in": "header",
        "required": True,
        "description": "The event's id, the same in every attempt: by it you know what you have already.",
        "schema": {"type": "string", "format": "uuid"},
    },
    {
        "name": HEADER_TIMESTAMP,
        "in": "header",
        "required": True,
        "description": "Unix seconds of this attempt. Refuse what is older than five minutes.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    {
        "name": HEADER_SIGNATURE,
        "in": "header",
        "required": True,
        "description": "`v1,<base64>` for every secret that is valid, separated by spaces: HMAC-SHA256 over "
        "`<id>.<timestamp>.<body>` (Standard Webhooks).",
        "schema": {"type": "string", "pattern": "^v1,"},
    },
]
_ANSWERS = {
    "2XX": {"description": "You have it."},
    "410": {"description": "You want no more of them: the webhook is switched off."},
    "default": {"description": "Not delivered; it is sent again, for a day."},
}


def described() -> tuple[dict[str, Any], dict[str, Any]]:
    """The `webhooks`, and the schemas that they refer to."""
    webhooks: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    types = [str(each) for each in EventType if is_shared(each)]
    for event_type in (*types, TEST_TYPE):
        name = "".join(word.capitalize() for word in event_type.replace("_", ".").split("."))
        data = _TEST_DATA if event_type == TEST_TYPE else _flat(event_type)
        _hoist(schemas, f"{name}Data", data)
        schemas[f"{name}Event"] = _event(event_type, data=f"{name}Data", meaning=data["description"])
        webhooks[event_type] = {
            "post": {
                "operationId": f"receive{name}",
                "summary": data["description"],
                "description": "A CloudEvents 1.0 document, sent to each webhook that wants this type. Deliveries are "
                "at least once and in no order.",
                "tags": ["webhooks"],
                "parameters": _PARAMETERS,
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": f"{_PREFIX}{name}Event"}}},
                },
                "responses": _ANSWERS,
                "security": [],
                "x-internal": True,  # no method of a generated client: clients receive these
            }
        }
    return webhooks, schemas


def _event(event_type: str, *, data: str, meaning: str) -> dict[str, Any]:
    envelope = event_schemas()["envelope"]
    properties = {
        **{name: _plain(field) for name, field in envelope["properties"].items()},
        "type": {"type": "string", "enum": [event_type]},
        "data": {"$ref": _PREFIX + data},
    }
    for name in ("specversion", "datacontenttype"):
        properties[name] = {"type": "string", "enum": [envelope["properties"][name]["const"]]}
    return {"type": "object", "description": meaning, "properties": properties, "required": envelope["required"]}


def _flat(name: str) -> dict[str, Any]:
    """A schema of the contract as one object: with what it refers to, and without what forbids."""
    return _merged(event_schemas()[name], file=name)


def _merged(schema: dict[str, Any], *, file: str) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "object", "properties": {}, "required": []}
    if "$ref" in schema:
        target, _, place = schema["$ref"].partition("#")
        file = target.removesuffix(".json") or file
        referred = event_schemas()[file]
        for step in place.strip("/").split("/") if place else ():
            referred = referred[step]
        found = _merged(referred, file=file)
    described = schema.get("description", schema.get("title", found.get("description")))
    return {
        "type": "object",
        **({"description": described} if described else {}),
        "properties": found["properties"]
        | {
            key: _merged(field, file=file) if "properties" in field or "$ref" in field else _plain(field)
            for key, field in schema.get("properties", {}).items()
        },
        "required": sorted({*found["required"], *schema.get("required", ())}),
    }


def _plain(field: dict[str, Any]) -> dict[str, Any]:
    """A field by itself. A format says enough: Python's generator takes no pattern for a time."""
    return {key: value for key, value in field.items() if key != "pattern" or "format" not in field}


def _hoist(schemas: dict[str, Any], name: str, schema: dict[str, Any]) -> None:
    """Give an object a name of its own, and so each object in it: generators invent names for others."""
    properties = {}
    for key, field in schema["properties"].items():
        if "properties" in field:
            _hoist(schemas, name + key.capitalize(), field)
            properties[key] = {"$ref": _PREFIX + name + key.capitalize()}
        else:
            properties[key] = field
    schemas[name] = schema | {"properties": properties}
