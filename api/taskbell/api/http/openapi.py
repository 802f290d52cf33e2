"""The OpenAPI document: FastAPI's, with the bodies, the query parameters and the problems of `http`."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from taskbell.api.http import consistency, repeats
from taskbell.api.http.paging import PageLimits, PageQuery
from taskbell.api.http.problem import ProblemDocument
from taskbell.api.http.route import DirectRoute
from taskbell.api.oidc import document as providers
from taskbell.api.repeats.policy import LONGEST_KEY
from taskbell.api.scopes import document as scopes
from taskbell.contract.problems import MEDIA_TYPE

_PREFIX = "#/components/schemas/"
_POSITION = {"type": "string", "pattern": "^([0-9]{1,20}|latest)$"}
_SENT = {
    "name": consistency.HEADER,
    "in": "header",
    "required": False,
    "description": "What the last answer said. The answer to this request then shows your own changes, and at least "
    "what that one showed. `latest`: the newest state.",
    "schema": _POSITION,
}
_ANSWERED = {
    "description": "How far you have come; send it with your next request. Every change answers it, and a read that "
    "may show more than another process knows.",
    "schema": _POSITION,
}
_KEY = {
    "name": repeats.HEADER,
    "in": "header",
    "required": False,
    "description": "A new random text for each request, such as a UUID. The same request with the same key within a "
    "day changes nothing more, and gets the first answer again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[!-~]([ -~]*[!-~])?$"},
}
_REPLAYED = {
    "description": "`true` if the request had been carried out before: this is the answer that it got then.",
    "schema": {"type": "string", "enum": ["true"]},
}
_KEY_PROBLEMS = {
    "409": "`idempotency_key_in_use`: the first request with the key is still under way; `Retry-After` says when to "
    "ask again. Other codes: a conflict with the present state.",
    "422": "`idempotency_key_reused`: the key belongs to another request. Other codes: a field is not valid.",
}


def install(app: FastAPI) -> None:
    """Let the application answer with the completed document, built once."""

    def build() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = document(app)
        return app.openapi_schema

    app.openapi = build  # type: ignore[method-assign]  # the way FastAPI documents for extending it


def document(app: FastAPI) -> dict[str, Any]:
    """Build the document from the routes."""
    schema = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        tags=app.openapi_tags,
    )
    routes = [route for route in app.routes if isinstance(route, APIRoute) and route.include_in_schema]
    read = {id(route): (_model(route, "json_body_model"), _model(route, "query_model")) for route in routes}
    models = dict.fromkeys(model for pair in read.values() for model in pair if model is not None)
    mapping, definitions = models_json_schema(
        [(model, "validation") for model in (*models, ProblemDocument)], ref_template=_PREFIX + "{model}"
    )
    schemas = schema.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(definitions.get("$defs", {}))
    for route in routes:
        body, query = read[id(route)]
        for method in route.methods or ():
            operation = schema["paths"][route.path_format][method.lower()]
            operation["operationId"] = operation_id(route.name)
            if body is not None:
                required = _model(route, "json_body_required")
                content = operation.setdefault("requestBody", {"required": required}).setdefault("content", {})
                content["application/json"] = {"schema": mapping[(body, "validation")]}
            if query is not None:
                name = mapping[(query, "validation")]["$ref"].removeprefix(_PREFIX)
                operation.setdefault("parameters", []).extend(_parameters(schemas[name]))
                if issubclass(query, PageQuery):
                    _tell_limit(operation["parameters"], app.state.page_limits)
            if operation.get("security"):
                _tell_consistency(operation, method)
                scopes.tell(operation, method=method, path=route.path)
            operation["responses"].pop("422", None)
            problem = {MEDIA_TYPE: {"schema": mapping[(ProblemDocument, "validation")]}}
            operation["responses"]["default"] = {"description": "A problem (RFC 9457)", "content": problem}
            if isinstance(route, DirectRoute) and operation.get("security") and method in repeats.CHANGES:
                _tell_repeats(operation, problem)
    schema["components"]["headers"] = {consistency.HEADER: _ANSWERED, repeats.REPLAYED: _REPLAYED}
    providers.tell(schema, app.state.providers)
    queries = {mapping[(query, "validation")]["$ref"].removeprefix(_PREFIX) for _, query in read.values() if query}
    for unused in ("HTTPValidationError", "ValidationError", *queries):
        schemas.pop(unused, None)
    return schema


def operation_id(endpoint: str) -> str:
    """The id of an operation, and so its name in generated clients: `create_task` becomes `createTask`.

    It is the name of the endpoint's function, a verb and its object. Renaming the function breaks those clients.
    """
    verb, *words = endpoint.split("_")
    return verb + "".join(word.capitalize() for word in words)


def _parameters(model: dict[str, Any]) -> list[dict[str, Any]]:
    required = model.get("required", ())
    parameters = []
    for name, field in model["properties"].items():
        described = {key: value for key, value in field.items() if key != "description"}
        # JSON Schema says "or null" for what may be absent; a query parameter has no null.
        some = [each for each in described.pop("anyOf", ()) if each != {"type": "null"}]
        if described.get("default", ...) is None:
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


def _tell_limit(parameters: list[dict[str, Any]], limits: PageLimits) -> None:
    """Write the bounds of a page, which are settings, into its parameter."""
    for each in parameters:
        if each["name"] == "limit":
            each["schema"] |= {"maximum": limits.most, "default": limits.default}


def _tell_consistency(operation: dict[str, Any], method: str) -> None:
    """Document the position: any read may be sent one, every change answers one, and a read may."""
    if method == "GET":
        operation.setdefault("parameters", []).append(_SENT)
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            answer.setdefault("headers", {})[consistency.HEADER] = {
                "$ref": f"#/components/headers/{consistency.HEADER}"
            }


def _tell_repeats(operation: dict[str, Any], problem: dict[str, Any]) -> None:
    """Document the key that a change may be sent with, the mark of a replay, and what is refused."""
    operation.setdefault("parameters", []).append(_KEY)
    for status, description in _KEY_PROBLEMS.items():
        operation["responses"].setdefault(status, {"description": description, "content": problem})
    for answer in operation["responses"].values():
        answer.setdefault("headers", {})[repeats.REPLAYED] = {"$ref": f"#/components/headers/{repeats.REPLAYED}"}


def _model(route: APIRoute, attribute: str) -> Any:
    for dependency in route.dependant.dependencies:
        model = getattr(dependency.call, attribute, None)
        if model is not None:
            return model
    return None
