"""The routes of the API: FastAPI documents them, and they are called without its dependency machinery.

FastAPI resolves dependencies generally: caches, generators, threads, nested and overridden ones. These endpoints take
the request, ids from the path, and what an `async def read(request)` gives; reading those directly halves what a
request costs beyond its query (`make bench`).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Container, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin, get_type_hints
from uuid import UUID

from fastapi.params import Depends
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, request_response
from starlette.types import Scope

from taskbell.api.http.preparations import Preparation, Read, prepare, split
from taskbell.api.http.repeats import CHANGES, Work, refuse_key, sent_key
from taskbell.api.rates.limiter import CHARGE, Charge
from taskbell.contract.problems import FieldError, ProblemCode, Refused

if TYPE_CHECKING:
    from taskbell.api.http.paging import PageLimits
    from taskbell.api.http.repeats import Repeats

WEIGHT = "x-weight"
"""In `openapi_extra` of a route: how many requests it counts as. A page counts as one for each hundred items."""
_ITEMS_A_WEIGHT = 100


class PathNotValid(Refused):
    """A part of the path is not valid."""

    code = ProblemCode.VALIDATION_FAILED


class DirectRoute(APIRoute):
    """A route whose endpoint takes the request, UUIDs from the path, and `Annotated[..., Depends(read)]` only.

    A dependency takes the request too, or other dependencies, see `preparations`. The endpoint returns a response,
    which `response_model` documents, or a model, or None for an empty answer. Any other parameter fails at import.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """Take what `APIRoute` takes, and leave out the stacks that it opens for dependencies with `yield`."""
        super().__init__(path, endpoint, **options)
        self.app = request_response(self.get_route_handler())
        self._literal = path.partition("{")[0]

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match a request. Most routes are passed over by their literal part, which costs a tenth of a pattern."""
        path: str = scope["path"]
        if path.startswith(self._literal) if self.param_convertors else path == self._literal:
            return super().matches(scope)
        return Match.NONE, {}

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Plan once how each parameter is read."""
        endpoint, status = self.endpoint, self.status_code or 200
        plan = _Plan.of(endpoint, path_names=set(self.param_convertors))
        reads, slow, own = plan.reads, plan.slow, plan.own
        lists = next((name for name, read in reads.items() if "limit" in _fields(read)), None)
        least = (self.openapi_extra or {}).get(WEIGHT, 1)
        changes = not CHANGES.isdisjoint(self.methods or ())

        async def in_two_steps(**values: Any) -> Any:
            return await endpoint(**{name: values[name] for name in own}, **await prepare(slow, values))

        carry_out = in_two_steps if slow else endpoint

        async def keyed(request: Request, key: str, charge: Charge, weight: int, values: dict[str, Any]) -> Response:
            prepared: dict[str, Any] = {}

            async def first() -> None:
                prepared.update(await prepare(slow, values))

            async def rest() -> Response:
                return _response(await endpoint(**{name: values[name] for name in own}, **prepared), status)

            repeats: Repeats = request.app.state.services.repeats
            work = Work(rest, first=first if slow else None)
            return await repeats.answer(request, key, charge, partial(_in_turn, {}, charge, weight), work)

        async def handle(request: Request) -> Response:
            values: dict[str, Any] = dict.fromkeys(plan.plain, request)
            for name, read in reads.items():
                values[name] = await read(request)
            for name in plan.paths:
                values[name] = _identifier(name, request.path_params[name])
            charge: Charge | None = request.scope.get(CHARGE)
            if charge is None:
                refuse_key(request)
                return _response(await carry_out(**values), status)
            weight = least if lists is None else max(least, _weight(request, values[lists].limit))
            if changes and (key := sent_key(request.scope)) is not None:
                return await keyed(request, key, charge, weight, values)
            return _response(await _in_turn(values, charge, weight, carry_out), status)

        return handle


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """How the parameters of an endpoint are read.

    Attributes:
        plain: Those that are the request.
        paths: Ids of the path.
        reads: Dependencies of the request: the endpoint's, and those of its preparations.
        slow: Its preparations.
        own: All of the endpoint but its preparations.
    """

    plain: tuple[str, ...]
    paths: tuple[str, ...]
    reads: Mapping[str, Read]
    slow: Mapping[str, Preparation]
    own: frozenset[str]

    @classmethod
    def of(cls, endpoint: Callable[..., Any], *, path_names: Container[str]) -> _Plan:
        """Plan an endpoint. Raises `TypeError` for a parameter that is nothing of it."""
        hints = get_type_hints(endpoint, include_extras=True)
        parameters = [*inspect.signature(endpoint).parameters]
        plain = tuple(name for name in parameters if hints[name] is Request)
        paths = tuple(name for name in parameters if name in path_names)
        found = {name: read for name in parameters if (read := _dependency(hints[name])) is not None}
        reads, slow = split(found, dependency=_dependency)
        if unknown := set(parameters) - {*plain, *paths, *found}:
            raise TypeError(f"{endpoint.__qualname__}: a DirectRoute cannot read {', '.join(sorted(unknown))}")
        return cls(plain=plain, paths=paths, reads=reads, slow=slow, own=frozenset(parameters) - slow.keys())


def _response(answer: Any, status: int) -> Response:
    if isinstance(answer, Response):
        return answer
    if isinstance(answer, BaseModel):
        return Response(answer.model_dump_json(), status_code=status, media_type="application/json")
    return Response(status_code=status)


async def _in_turn(values: dict[str, Any], charge: Charge, weight: int, work: Callable[..., Awaitable[Any]]) -> Any:
    """Work with these values once the user has room for a request of this weight."""
    if weight > 1:
        await charge.limiter.charge_more(charge, weight - 1)
    user, slots = charge.user, charge.limiter.slots
    if not slots.take(user, weight):
        await slots.wait(user, weight)
    try:
        return await work(**values)
    finally:
        slots.give(user, weight)


class KeylessRoute(APIRoute):
    """A route of FastAPI's own kind, without a signed-in user: it takes no `Idempotency-Key`, and says so."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Look for the header before anything else."""
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            refuse_key(request)
            return await handle(request)

        return checked


def keep_apart(routes: Sequence[BaseRoute]) -> None:
    """Let no route with ids take the literal path of another one: `PATCH /notifications/read` is a 405, no bad id."""
    apis = [route for route in routes if isinstance(route, APIRoute)]
    literal = [route.path for route in apis if not route.param_convertors]
    for route in apis:
        for path in literal:
            if route.param_convertors and route.path_regex.match(path):
                route.path_regex = re.compile(f"(?!{re.escape(path)}$){route.path_regex.pattern}")


def _weight(request: Request, limit: int | None) -> int:
    """A page weighs one request for each hundred items that it may hold; a limit that will be refused is no page."""
    limits: PageLimits = request.app.state.page_limits
    items = limits.default if limit is None else limit
    return -(-items // _ITEMS_A_WEIGHT) if items <= limits.most else 1


def _fields(read: Read) -> Container[str]:
    model: type[BaseModel] | None = getattr(read, "query_model", None)
    return () if model is None else model.model_fields


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
