"""The routes of the API: FastAPI documents them, and they are called without its dependency machinery.

FastAPI resolves dependencies generally: caches, generators, threads, nested and overridden ones. These endpoints take
the request, ids from the path, and what an `async def read(request)` gives; reading those directly halves what a
request costs beyond its query (`make bench`).
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Annotated, Any, get_args, get_origin, get_type_hints
from uuid import UUID

from fastapi.params import Depends
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from taskbell.contract.problems import FieldError, ProblemCode, Refused

Read = Callable[[Request], Awaitable[Any]]


class PathNotValid(Refused):
    """A part of the path is not valid."""

    code = ProblemCode.VALIDATION_FAILED


class DirectRoute(APIRoute):
    """A route whose endpoint takes the request, UUIDs from the path, and `Annotated[..., Depends(read)]` only.

    The endpoint returns a response, which `response_model` documents, or a model, or None for an empty answer. Another
    kind of parameter fails at import.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Plan once how each parameter is read."""
        endpoint, status = self.endpoint, self.status_code or 200
        hints = get_type_hints(endpoint, include_extras=True)
        names = set(self.param_convertors)
        plain = [name for name in inspect.signature(endpoint).parameters if hints[name] is Request]
        paths = [name for name in hints if name in names]
        reads = {name: read for name, hint in hints.items() if (read := _dependency(hint)) is not None}
        unknown = set(inspect.signature(endpoint).parameters) - {*plain, *paths, *reads}
        if unknown:
            raise TypeError(f"{endpoint.__qualname__}: a DirectRoute cannot read {', '.join(sorted(unknown))}")

        async def handle(request: Request) -> Response:
            values: dict[str, Any] = dict.fromkeys(plain, request)
            for name, read in reads.items():
                values[name] = await read(request)
            for name in paths:
                values[name] = _identifier(name, request.path_params[name])
            answer = await endpoint(**values)
            if isinstance(answer, Response):
                return answer
            if isinstance(answer, BaseModel):
                return Response(answer.model_dump_json(), status_code=status, media_type="application/json")
            return Response(status_code=status)

        return handle


def _dependency(hint: Any) -> Read | None:
    if get_origin(hint) is not Annotated:
        return None
    for mark in get_args(hint)[1:]:
        if isinstance(mark, Depends) and mark.dependency is not None:
            read: Read = mark.dependency
            return read
    return None


def _identifier(name: str, text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        message = "Input should be a valid UUID"
        raise PathNotValid(f"{name}: {message}", errors=(FieldError(f"?{name}", "uuid_parsing", message),)) from None
