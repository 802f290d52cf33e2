"""Builds the OpenAPI document: FastAPI's, with the bodies, the parameters and the answers of the API."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from taskbell.api.http import consistency, repeats
from taskbell.api.http.openapi import events, headers, parameters, refusals, samples, shapes
from taskbell.api.http.paging import PageLimits, PageQuery
from taskbell.api.http.problem import Problem
from taskbell.api.http.route import DirectRoute
from taskbell.api.oidc import document as providers
from taskbell.api.scopes import document as scopes

Model = type[BaseModel]
References = dict[Model, str]
# openapi-generator calls upon the schemes of an operation in the order of their names, and the last one writes the
# header. Its TypeScript sends an OAuth2 token without the word Bearer, so `bearer` must come after: capitals sort
# first.
OAUTH2 = "OAuth2"
_OAUTH2 = {
    "type": "oauth2",
    "description": "The same access tokens, by an OAuth2 password form.",
    "flows": {"password": {"tokenUrl": "/v1/auth/login", "scopes": {}}},
}
_PREFIX = "#/components/schemas/"


def install(app: FastAPI) -> None:
    """Let the application answer with the completed document, built once."""

    def build() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = document(app)
        return app.openapi_schema

    app.openapi = build  # type: ignore[method-assign]  # the way FastAPI documents for extending it


def document(app: FastAPI) -> dict[str, Any]:
    """Build the document from the routes.

    Raises:
        ValueError: Two models have one name.
    """
    schema = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        tags=app.openapi_tags,
    )
    routes = [_Read(route) for route in app.routes if isinstance(route, APIRoute) and route.include_in_schema]
    models = list(dict.fromkeys(model for route in routes for model in route.models))
    mapping, definitions = models_json_schema(
        [(model, "validation") for model in (*models, Problem)], ref_template=_PREFIX + "{model}"
    )
    references: References = {model: mapping[model, "validation"]["$ref"] for model in models}
    components = schema["components"]
    schemas: dict[str, Any] = components["schemas"]
    for name, definition in definitions["$defs"].items():
        if schemas.setdefault(name, definition) != definition:
            raise ValueError(f"two models of the API are called {name}: give one another name")
    components |= {"headers": headers.COMPONENTS, "responses": {}}
    components["securitySchemes"][OAUTH2] = _OAUTH2
    providers.tell(schema, app.state.providers)
    for route in routes:
        for method, operation in schema["paths"][route.path].items():
            if method.upper() in route.methods:
                _complete(
                    operation,
                    method.upper(),
                    route,
                    references=references,
                    components=components,
                    limits=app.state.page_limits,
                )
    queries = {_name(references[route.query]) for route in routes if route.query}
    for unused in ("HTTPValidationError", "ValidationError", *queries):
        schemas.pop(unused, None)
    schema["webhooks"], bodies = events.described()
    schemas.update(bodies)
    completed: dict[str, Any] = shapes.simplified(schema)
    shapes.inline_nullable(completed["components"]["schemas"])
    samples.install(completed)
    return completed


class _Read:
    """What an endpoint reads besides the parameters that FastAPI knows of."""

    def __init__(self, route: APIRoute) -> None:
        self.path, self.methods, self.operation_id = route.path_format, route.methods or set(), operation_id(route.name)
        self.takes_key = isinstance(route, DirectRoute)
        json_body = _attribute(route, "json_body_model")
        # Forms first: of two forms generators take the first one, and TypeScript's knows no form after JSON.
        self.bodies: dict[str, Model] = dict(_attribute(route, "form_body_models") or {})
        self.bodies |= {"application/json": json_body} if json_body else {}
        self.needs_body = _attribute(route, "json_body_required") is not False
        self.query: Model | None = _attribute(route, "query_model")
        self.models = [*self.bodies.values(), *([self.query] if self.query else [])]


def _complete(
    operation: dict[str, Any],
    method: str,
    route: _Read,
    *,
    references: References,
    components: dict[str, Any],
    limits: PageLimits,
) -> None:
    """Describe what FastAPI does not know of an operation."""
    operation["operationId"] = route.operation_id
    if route.bodies:
        content = {media: {"schema": {"$ref": references[model]}} for media, model in route.bodies.items()}
        operation["requestBody"] = {"required": route.needs_body, "content": content}
    for model in route.bodies.values() if method == "PATCH" else ():
        _drop_defaults(components["schemas"][_name(references[model])])
    if route.query is not None:
        query = components["schemas"][_name(references[route.query])]
        operation.setdefault("parameters", []).extend(parameters.of_query(query))
        if issubclass(route.query, PageQuery):
            parameters.tell_limit(operation["parameters"], limits)
    if operation.get("security"):
        scopes.tell(operation, method=method, path=route.path)
        operation["security"].append({OAUTH2: []})
    _tell_consistency(operation, method)
    if route.takes_key and operation.get("security") and method in repeats.CHANGES:
        operation.setdefault("parameters", []).append(headers.IDEMPOTENCY_KEY)
    names_workspace = any("workspace_id" in model.model_fields for model in route.models)
    refusals.complete(
        operation, method=method, path=route.path, names_workspace=names_workspace, shared=components["responses"]
    )


def operation_id(endpoint: str) -> str:
    """The id of an operation, and so its name in generated clients: `create_task` becomes `createTask`.

    It is the name of the endpoint's function, a verb and its object. Renaming the function breaks those clients.
    """
    verb, *words = endpoint.split("_")
    return verb + "".join(word.capitalize() for word in words)


def _drop_defaults(change: dict[str, Any]) -> None:
    """An absent field of a change stays as it is; a generated client would send its default."""
    for field in change["properties"].values():
        field.pop("default", None)


def _tell_consistency(operation: dict[str, Any], method: str) -> None:
    """Document the position: a read may be sent one and may answer one, every change answers one."""
    if method == "GET" and not operation.get("security"):
        return
    if method == "GET":
        operation.setdefault("parameters", []).append(headers.CONSISTENCY)
    for status, answer in operation["responses"].items():
        if status.startswith(("2", "3")):
            answer.setdefault("headers", {}).update(headers.refer(consistency.HEADER))


def _attribute(route: APIRoute, name: str) -> Any:
    """What a dependency says of itself, or one that a preparation takes."""
    own = route.dependant.dependencies
    for dependency in (*own, *(nested for each in own for nested in each.dependencies)):
        found = getattr(dependency.call, name, None)
        if found is not None:
            return found
    return None


def _name(reference: str) -> str:
    return reference.removeprefix(_PREFIX)
