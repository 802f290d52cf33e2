"""The OpenAPI document: FastAPI's, with the bodies that `http.body` reads and the problems every call may answer."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from taskbell.api.http.problem import ProblemDocument
from taskbell.contract.problems import MEDIA_TYPE

_REFERENCES = "#/components/schemas/{model}"


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
    bodies = {id(route): model for route in routes if (model := _body_model(route)) is not None}
    models = [*dict.fromkeys(bodies.values()), ProblemDocument]
    mapping, definitions = models_json_schema([(model, "validation") for model in models], ref_template=_REFERENCES)
    schema.setdefault("components", {}).setdefault("schemas", {}).update(definitions.get("$defs", {}))
    problem = mapping[(ProblemDocument, "validation")]
    for route in routes:
        for method in route.methods or ():
            operation = schema["paths"][route.path_format][method.lower()]
            model = bodies.get(id(route))
            if model is not None:
                content = operation.setdefault("requestBody", {"required": True}).setdefault("content", {})
                content["application/json"] = {"schema": mapping[(model, "validation")]}
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = {
                "description": "A problem (RFC 9457)",
                "content": {MEDIA_TYPE: {"schema": problem}},
            }
    for unused in ("HTTPValidationError", "ValidationError"):
        schema["components"]["schemas"].pop(unused, None)
    return schema


def _body_model(route: APIRoute) -> Any:
    for dependency in route.dependant.dependencies:
        model = getattr(dependency.call, "json_body_model", None)
        if model is not None:
            return model
    return None
