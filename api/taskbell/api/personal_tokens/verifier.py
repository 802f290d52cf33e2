"""Which user a personal access token names: asked of PostgreSQL, and remembered for a second.

A second is short enough to need no message about revoked tokens, and long enough that a busy token costs one statement
a second. The time counts from before the question, so no process accepts a token a second after it was deleted.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from taskbell.api import metrics
from taskbell.api.personal_tokens import repository
from taskbell.contract import personal_tokens
from taskbell.contract.scopes import granted
from taskbell.contract.tokens import Claims
from taskbell.kit.jwt import TokenRefused
from taskbell.store.pool import Database, DatabaseUnavailable

REMEMBERED_SECONDS = 1.0
_NOTED_EVERY = 60.0
_HITS = metrics.PERSONAL_TOKENS.labels(outcome="hit")
_MISSES = metrics.PERSONAL_TOKENS.labels(outcome="miss")
_REFUSALS = metrics.PERSONAL_TOKENS.labels(outcome="refused")


class PersonalTokenVerifier:
    """Verifies tokens, and notes when each was used last. `run` is a role for `kit.looper`."""

    def __init__(
        self, database: Database, *, capacity: int = 20_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Remember at most `capacity` tokens, and forget the least recently asked first."""
        self._database = database
        self._capacity = capacity
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[Claims, float]] = OrderedDict()
        self._used: dict[UUID, datetime] = {}

    async def verify(self, token: str) -> Claims:
        """Return whom a token names.

        Raises:
            TokenRefused: It is malformed, unknown, revoked, or has expired.
            DatabaseUnavailable: PostgreSQL does not answer.
        """
        if not personal_tokens.is_well_formed(token):
            _REFUSALS.inc()
            raise TokenRefused("it is no whole personal access token")
        digest = personal_tokens.digest(token)
        now = self._clock()
        entry = self._known.get(digest)
        if entry is None or now >= entry[1]:
            entry = await self._ask(digest, asked_at=now)
        else:
            _HITS.inc()
        claims, _ = entry
        if claims.expires_at <= time.time():
            _REFUSALS.inc()
            raise TokenRefused("the token has expired")
        if claims.session_id in self._used or len(self._used) < self._capacity:
            self._used[claims.session_id] = datetime.now(UTC)
        return claims

    async def _ask(self, digest: bytes, *, asked_at: float) -> tuple[Claims, float]:
        found = await repository.find(self._database, digest)
        if found is None:
            self._known.pop(digest, None)
            _REFUSALS.inc()
            raise TokenRefused("the token is unknown, was deleted, or has expired")
        _MISSES.inc()
        claims = Claims(
            user_id=found.user_id,
            workspace_id=found.workspace_id,
            session_id=found.id,
            token_id=str(found.id),
            expires_at=int(found.expires_at.timestamp()),
            scopes=granted(found.scopes),
            personal_token_id=found.id,
        )
        entry = self._known[digest] = (claims, asked_at + REMEMBERED_SECONDS)
        self._known.move_to_end(digest)
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)
        return entry

    async def run(self) -> None:
        """Write once a minute when tokens were used, until cancelled."""
        while True:
            await asyncio.sleep(_NOTED_EVERY)
            await self.note_use()

    async def note_use(self) -> None:
        """Write when tokens were used since the last time. While PostgreSQL is away, they are kept for the next."""
        used, self._used = self._used, {}
        if not used:
            return
        try:
            await repository.note_use(self._database, used)
        except DatabaseUnavailable:  # `/readyz` reports it
            self._used = used | self._used
