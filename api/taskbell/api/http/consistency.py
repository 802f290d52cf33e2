"""`Taskbell-Consistency`: how far a client has come, in requests and in answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.requests import Request

from taskbell.api.rates.limiter import CHARGE
from taskbell.contract.problems import ProblemCode, Refused
from taskbell.store import consistency
from taskbell.store.consistency import Consistency, PositionMalformed

if TYPE_CHECKING:
    from starlette.types import Scope

    from taskbell.api.rates.limiter import Header
    from taskbell.api.services import Services

HEADER: Final = "Taskbell-Consistency"
_HEADER = HEADER.lower().encode()
_SCOPE = "taskbell.consistency"
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_FAILED = 400


class ConsistencyMalformed(Refused):
    """The header Taskbell-Consistency is malformed."""

    code = ProblemCode.INVALID_REQUEST


def begin(request: Request) -> None:
    """Read the position of a request, for all that works on it. Raises `ConsistencyMalformed`."""
    wanted = None
    for name, value in request.scope["headers"]:
        if name == _HEADER:
            try:
                wanted = consistency.parse(str(value, "latin-1").strip())
            except PositionMalformed as malformed:
                raise ConsistencyMalformed(f"{HEADER}: {malformed}.") from None
    request.scope[_SCOPE] = begun = Consistency(wanted)
    consistency.current.set(begun)


async def headers(scope: Scope, status: int) -> tuple[Header, ...]:
    """The position that the answer to a request tells: after a change, and of a read that the primary answered.

    Whoever made the change is bound to it in this process, too, also when it seems to have failed.
    """
    request: Consistency | None = scope.get(_SCOPE)
    if scope["method"] in _READS:
        if request is None or not request.from_primary:
            return ()
        position = None
    else:
        charge = scope.get(CHARGE)
        if charge is not None:
            _services(scope).reads.bind(charge.user)
        if status >= _FAILED:
            return ()
        position = None if request is None else request.reached
    # A later position that the client had before counts, too. Whether it is one of this PostgreSQL, the primary knows.
    if position is None or (request is not None and (request.wanted or 0) > position):
        position = await _services(scope).positions.after_now()
    return ((_HEADER, consistency.text_of(position).encode()),)


def _services(scope: Scope) -> Services:
    services: Services = scope["app"].state.services
    return services
