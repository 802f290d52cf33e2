"""The query parameters of operations, as the OpenAPI document describes them."""

from __future__ import annotations

from typing import Any

from taskbell.api.http.paging import PageLimits


def of_query(model: dict[str, Any]) -> list[dict[str, Any]]:
    """The parameters for the schema of a query model."""
    required = model.get("required", ())
    parameters = []
    for name, field in model["properties"].items():
        described = {key: value for key, value in field.items() if key != "description"}
        # JSON Schema says "or null" for what may be absent; a query parameter has no null.
        some = [each for each in described.pop("anyOf", ()) if each != {"type": "null"}]
        if described.get("default", True) in (None, []):  # Go's generator cannot write an empty list
            del described["default"]
        parameters.append(
            {
                "name": name,
                "in": "query",
                "required": name in required,
                "description": field.get("description", ""),
                "schema": {**(some[0] if len(some) == 1 else {"anyOf": some} if some else {}), **described},
            }
        )
    return parameters


def tell_limit(parameters: list[dict[str, Any]], limits: PageLimits) -> None:
    """Write the bounds of a page, which are settings, into its parameter."""
    for each in parameters:
        if each["name"] == "limit":
            each["schema"] |= {"maximum": limits.most, "default": limits.default}
