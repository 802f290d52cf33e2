"""Problem documents (RFC 9457): the form of every error of the API."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from taskbell.contract.problems import MEDIA_TYPE, FieldError, ProblemCode, Refused
from taskbell.kit import trace

_ERRORS_TOLD = 50
_LONGEST_TEXT = 200
_LONGEST_DETAIL = 1000
_LONGEST_NAME = 64
_NAMES_COMPARED = 5
"""So many unknown names are compared with the known ones, which takes 0.1 ms each."""

_BY_STATUS = {code.value.status: code for code in reversed(ProblemCode)}
_BY_STATUS[400] = ProblemCode.INVALID_REQUEST
_BY_STATUS[401] = ProblemCode.UNAUTHENTICATED
_BY_STATUS[409] = ProblemCode.CONFLICT


class ProblemField(BaseModel):
    """One wrong field."""

    pointer: str = Field(description="JSON Pointer into the body (RFC 6901), or `?name` for a query parameter.")
    code: str = Field(description="Stable name of the rule that was broken.")
    message: str = Field(description="The same for people.")


class Problem(BaseModel):
    """An error, as RFC 9457 has it."""

    type: str = Field(description="URI of the kind of problem.")
    title: str = Field(description="Short summary of the kind.")
    status: int = Field(description="The HTTP status, repeated.")
    detail: str = Field(description="What is wrong this time, for people.")
    instance: str = Field(description="The path that was asked for.")
    code: str = Field(description="Stable code to branch on.")
    errors: list[ProblemField] = Field(default_factory=list, description="The wrong fields, if fields were wrong.")
    challenge: str = Field(default="", description="Only of `second_factor_required`: what the next step sends.")
    request_id: str = Field(description="Quote it when you report the error.")


def problem_response(
    code: ProblemCode,
    *,
    detail: str,
    instance: str,
    errors: tuple[FieldError, ...] = (),
    headers: dict[str, str] | None = None,
    challenge: str = "",
) -> Response:
    """Build the answer for a problem. Long quotations of the request are cut."""
    problem = code.value
    context = trace.current.get()
    document: dict[str, Any] = {
        "type": problem.type,
        "title": problem.title,
        "status": problem.status,
        "detail": _cut(detail, at_most=_LONGEST_DETAIL),
        "instance": instance,
        "code": problem.code,
        "request_id": context.trace_id if context else "",
    }
    if errors:
        document["errors"] = [
            {"pointer": _cut(error.pointer), "code": error.code, "message": _cut(error.message)} for error in errors
        ]
    if challenge:
        document["challenge"] = challenge
    sent = {"Cache-Control": "no-store", **(headers or {})}
    if problem.status == 401:
        sent.setdefault("WWW-Authenticate", "Bearer")
    return Response(orjson.dumps(document), status_code=problem.status, media_type=MEDIA_TYPE, headers=sent)


def refusal(error: Refused, *, instance: str) -> Response:
    """Build the answer for a refused request."""
    return problem_response(
        error.code,
        detail=error.detail,
        instance=instance,
        errors=error.errors,
        headers=error.headers,
        challenge=error.challenge,
    )


def field_errors(
    refused: ValidationError | RequestValidationError, *, query: bool = False, known: Collection[str] = ()
) -> tuple[FieldError, ...]:
    """Translate pydantic's errors. More than 50 become one that counts them, since building them takes long.

    An unknown field is told with the nearest one of `known`.
    """
    if isinstance(refused, ValidationError):
        if refused.error_count() > _ERRORS_TOLD:
            return (FieldError("", "too_many_errors", f"{refused.error_count()} values are not valid"),)
        errors = refused.errors(include_url=False, include_context=False, include_input=False)
    else:
        errors = list(refused.errors())[:_ERRORS_TOLD]
    found: list[FieldError] = []
    for error in errors:
        place = [str(part).replace("~", "~0").replace("/", "~1") for part in error["loc"]]
        if isinstance(refused, RequestValidationError) and place:
            query = place[0] != "body"
            place = place[1:]
        pointer = "?" + ".".join(place) if query else "".join(f"/{part}" for part in place)
        message = _cut(str(error["msg"]))
        if error["type"] == "extra_forbidden" and len(error["loc"]) == 1:
            message = _unknown(place[0], known if len(found) < _NAMES_COMPARED else ())
        found.append(FieldError(pointer=_cut(pointer), code=str(error["type"]), message=message))
    return tuple(found)


def _unknown(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name[:_LONGEST_NAME].lower(), known, n=1)
    return f"there is no such name; did you mean {near[0]}?" if near else "there is no such name"


def _cut(text: str, *, at_most: int = _LONGEST_TEXT) -> str:
    return text if len(text) <= at_most else text[: at_most - 1] + "…"


def _allowed_methods(request: Request) -> list[str]:
    """The methods of all routes of this path; Starlette names those of the first one only."""
    found: set[str] = set()
    for route in request.app.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            found |= getattr(route, "methods", None) or set()
    return sorted(found)


def install(app: FastAPI) -> None:
    """Answer every expected error of the application with a problem document."""

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, Refused)  # noqa: S101 -- registered for this class alone
        return refusal(error, instance=request.url.path)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 -- registered for this class alone
        errors = field_errors(error)
        return problem_response(
            ProblemCode.VALIDATION_FAILED,
            detail="; ".join(f"{item.pointer}: {item.message}" for item in errors[:3]),
            instance=request.url.path,
            errors=errors,
        )

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 -- registered for this class alone
        code = _BY_STATUS.get(error.status_code, ProblemCode.INVALID_REQUEST)
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = ", ".join(_allowed_methods(request))
        return problem_response(code, detail=code.value.title, instance=request.url.path, headers=headers)

    app.add_exception_handler(Refused, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http_error)
