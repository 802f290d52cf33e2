"""Makes the examples of the OpenAPI document from its schemas.

A field says its own by `examples`; for the others there is one for each form.
"""

from __future__ import annotations

from typing import Any

_NULL = {"type": "null"}
_BY_FORMAT: dict[str, Any] = {
    "date": "2027-01-31",
    "date-time": "2027-01-31T09:00:00Z",
    "duration": "PT10M",
    "email": "ann@example.com",
    "uri": "https://example.com/",
    "uuid": "01995b7e-6d1c-7c63-a1a4-3d2d6f1c9a10",
}
_BY_NAME: dict[str, Any] = {
    "name": "Ann",
    "title": "Call Bob",
    "source": "/workspaces/01995b7e-6d1c-7c63-a1a4-3d2d6f1c9a10",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}


def install(document: dict[str, Any]) -> None:
    """Give every JSON body of the document an example."""
    schemas = document["components"]["schemas"]
    for operations in (*document["paths"].values(), *document.get("webhooks", {}).values()):
        for operation in operations.values():
            bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
            for body in bodies:
                content = body.get("content", {}).get("application/json")
                if content and "example" not in content:
                    content["example"] = sample(content["schema"], schemas)


def sample(schema: dict[str, Any], schemas: dict[str, Any], *, name: str = "") -> Any:
    """A value of a schema: with all properties that are required, or that say an example of their own."""
    if "$ref" in schema:
        return sample(schemas[schema["$ref"].rpartition("/")[2]], schemas, name=name)
    said = [*schema.get("examples", ()), *([] if schema.get("default") is None else [schema["default"]])]
    said += schema.get("enum", [schema["const"]] if "const" in schema else [])
    if said:
        return said[0]
    kind = schema.get("type")
    if (isinstance(kind, list) and "null" in kind) or _NULL in schema.get("oneOf", ()):
        return None
    if "oneOf" in schema:
        return sample(schema["oneOf"][0], schemas, name=name)
    return _of_kind(kind, schema, schemas, name=name)


def _of_kind(kind: Any, schema: dict[str, Any], schemas: dict[str, Any], *, name: str) -> Any:
    if kind == "object" or "properties" in schema:
        required = schema.get("required", ())
        return {
            key: sample(field, schemas, name=key)
            for key, field in schema.get("properties", {}).items()
            if key in required or "examples" in field
        }
    if kind == "array":
        return [sample(schema["items"], schemas, name=name.removesuffix("s"))] if schema.get("items") else []
    if kind in {"integer", "number"}:
        return schema.get("minimum", 1)
    if kind == "boolean":
        return True
    if kind == "string":
        return _BY_FORMAT.get(schema.get("format", ""), _BY_NAME.get(name, name.replace("_", " ") or "text"))
    return None
