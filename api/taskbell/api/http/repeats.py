"""`Idempotency-Key`: a request that is sent again gets the answer of the first, and changes nothing more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Final
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from taskbell.api import metrics
from taskbell.api.http.problem import refusal
from taskbell.api.rates.limiter import Charge
from taskbell.api.repeats import policy, repository
from taskbell.api.repeats.errors import AnswerNotKept, KeyNotTaken, KeyReused, StillRunning
from taskbell.api.repeats.policy import Answer
from taskbell.api.repeats.sealing import Seal
from taskbell.contract.problems import Refused
from taskbell.store import consistency
from taskbell.store.pool import Connection, Database

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"
CHANGES: Final = frozenset({"POST", "PATCH", "PUT", "DELETE"})
"""The methods that take a key. Reading changes nothing, so reads pass over the header."""
_HEADER = HEADER.lower().encode()
_MARK = (REPLAYED.lower().encode(), b"true")
_REPLAYED = metrics.REPEATS.labels(outcome="replayed")
_REFUSALS = {
    StillRunning: metrics.REPEATS.labels(outcome="in_use"),
    KeyReused: metrics.REPEATS.labels(outcome="reused"),
    AnswerNotKept: metrics.REPEATS.labels(outcome="not_kept"),
}


@dataclass(frozen=True, slots=True)
class Work:
    """Carries a request out.

    Attributes:
        rest: Does it, in the transaction of its answer.
        first: Slow work before it, which holds no connection; None, nearly always, if there is none.
    """

    rest: Callable[[], Awaitable[Response]]
    first: Callable[[], Awaitable[None]] | None = None


def sent_key(scope: Scope) -> str | None:
    """The key of a request; None, for next to nothing, if it has none. Raises `KeyMalformed`."""
    for name, _ in scope["headers"]:
        if name == _HEADER:
            return policy.read_key(value for name, value in scope["headers"] if name == _HEADER)
    return None


def refuse_key(request: Request) -> None:
    """An operation without a signed-in user keeps no answers. Raises `KeyNotTaken` if a key was sent to it."""
    if request.method in CHANGES and sent_key(request.scope) is not None:
        raise KeyNotTaken


class _Running:
    """A request that this process carries out, for those that wait for its answer.

    Attributes:
        fingerprint: Of the request.
        answer: The one that is kept, once it has committed.
        ended: Gets that answer, or None, when the request ends.
    """

    __slots__ = ("answer", "ended", "fingerprint")

    def __init__(self, fingerprint: bytes) -> None:
        """Begin without an answer."""
        self.fingerprint = fingerprint
        self.answer: Answer | None = None
        self.ended: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()


class Repeats:
    """Carries requests with a key out once. Repeats that come meanwhile wait, without a connection of the pool.

    A request is one transaction with its answer: either both are there, or neither.
    """

    def __init__(self, database: Database, *, patience: float) -> None:
        """Take the primary, and how many seconds a repeat waits for the first."""
        self._database = database
        self._patience = patience
        self._running: dict[bytes, _Running] = {}

    async def answer(
        self,
        request: Request,
        key: str,
        charge: Charge,
        in_turn: Callable[[Callable[[], Awaitable[Response]]], Awaitable[Response]],
        work: Work,
    ) -> Response:
        """Answer a request: the first with its key is carried out, the others get its answer.

        Args:
            request: It, with its user charged.
            key: Its key.
            charge: What it has been charged.
            in_turn: Calls the first once its user has room for it. Repeats need none.
            work: Carries it out.

        Raises:
            KeyReused: The first was another request.
            StillRunning: It is under way for longer than a repeat waits.
            AnswerNotKept: Its answer is too long to be kept.
            Refused: The request was refused in a way that is not kept.
        """
        seal = Seal.of(key, user=UUID(int=charge.user))
        asked = await _fingerprint(request)
        try:
            found = await self._of_the_first(seal.name, asked)
            if found is not None:
                return _again(found)
            with self._first(seal.name, asked) as running:
                return await in_turn(partial(self._prepared, request, seal, charge, running, work))
        except (StillRunning, KeyReused, AnswerNotKept) as refused:
            _REFUSALS[type(refused)].inc()
            raise

    async def _of_the_first(self, name: bytes, asked: bytes) -> Answer | None:
        """Wait for the request of this process that has the name; None if there is none, or nothing of it is kept."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + self._patience
        while (running := self._running.get(name)) is not None:
            policy.require_same(asked, running.fingerprint)
            await asyncio.wait([running.ended], timeout=max(0.0, ends - loop.time()))
            if not running.ended.done():
                raise StillRunning
            if (answer := running.ended.result()) is not None:
                return answer
        return None

    @contextmanager
    def _first(self, name: bytes, asked: bytes) -> Iterator[_Running]:
        running = self._running[name] = _Running(asked)
        try:
            yield running
        finally:
            del self._running[name]
            running.ended.set_result(running.answer)

    async def _prepared(self, request: Request, seal: Seal, charge: Charge, running: _Running, work: Work) -> Response:
        """Do what is slow before the transaction, unless another process has answered already."""
        if work.first is not None:
            async with self._database.transaction() as connection:
                found = await repository.take(
                    connection, actor=UUID(int=charge.user), seal=seal, patience=self._patience
                )
            if found is None:
                try:
                    await work.first()
                except Refused as refused:
                    work = Work(partial(_refuse, refused))
        return await self._once(request, seal, charge, running, work)

    async def _once(self, request: Request, seal: Seal, charge: Charge, running: _Running, work: Work) -> Response:
        actor = UUID(int=charge.user)
        try:
            async with self._database.sharing() as connection:
                found = await repository.take(connection, actor=actor, seal=seal, patience=self._patience)
                if found is None:
                    response = await _carried_out(request, work)
                    kept = await self._keep(connection, response, running.fingerprint, seal, charge)
        except _Undone as undone:
            raise undone.error from None
        if found is None:
            running.answer = kept  # only now: it has committed
            return response
        policy.require_same(running.fingerprint, found.fingerprint)
        running.answer = found
        return _again(found)

    async def _keep(
        self, connection: Connection, response: Response, asked: bytes, seal: Seal, charge: Charge
    ) -> Answer | None:
        """Write the answer into the transaction. What it weighs is charged; with no room left all is rolled back."""
        if not policy.is_kept(response.status_code):
            return None
        body = getattr(response, "body", None)  # a stream has none
        answer = Answer(
            fingerprint=asked,
            status=response.status_code,
            headers=tuple(response.raw_headers),
            body=None if body is None or len(body) > policy.MOST_BYTES else bytes(body),
            reached=0,
        )
        sealed = seal.close(answer)
        if weight := policy.weight(len(sealed)):
            await charge.limiter.charge_more(charge, weight)
        reached = await repository.keep(connection, actor=UUID(int=charge.user), seal=seal, sealed=sealed)
        consistency.reached(str(reached))
        return replace(answer, reached=reached)


class _Undone(Exception):
    """A request failed, and with it all that it has changed: takes the error through the end of the transaction."""

    def __init__(self, error: Exception) -> None:
        self.error = error


async def _carried_out(request: Request, work: Work) -> Response:
    """Work within the transaction; a refusal is an answer. Raises `_Undone` if nothing may remain."""
    try:
        return await work.rest()
    except Refused as refused:
        if policy.is_undone(refused.code.value.status):
            raise _Undone(refused) from refused
        return refusal(refused, instance=request.url.path)
    except Exception as error:
        raise _Undone(error) from error


async def _refuse(refused: Refused) -> Response:
    raise refused


async def _fingerprint(request: Request) -> bytes:
    scope = request.scope
    return policy.fingerprint(
        scope["method"].encode(),
        scope["path"].encode(),
        scope["query_string"],
        request.headers.get("if-match", "").encode(),
        request.headers.get("content-type", "").encode(),
        await request.body(),
    )


def _again(answer: Answer) -> Response:
    """The kept answer, with the mark of a replay."""
    response = Response(policy.body_of(answer), status_code=answer.status)
    response.raw_headers = [*answer.headers, _MARK]
    consistency.reached(str(answer.reached))
    _REPLAYED.inc()
    return response
