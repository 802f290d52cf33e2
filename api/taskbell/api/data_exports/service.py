"""Reads everything about a person, page by page: each page is a statement and a transaction of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import structlog

from taskbell.api.accounts.errors import AccountGone
from taskbell.api.accounts.policy import Source
from taskbell.api.accounts.throttle import Throttle
from taskbell.api.data_exports import repository
from taskbell.api.data_exports.repository import SECTIONS, Place, Section
from taskbell.store.pool import Database

ALLOWED = 5
"""Exports that a user may begin in 15 minutes before pauses begin."""
END = b'{"kind":"end"}\n'
_log = structlog.get_logger(__name__)


class DataExports:
    """Exports of a signed-in user's own data. Memory holds one page, however much there is."""

    def __init__(self, database: Database, *, throttle: Throttle) -> None:
        """Take the throttle, which keeps a user from beginning many."""
        self._database = database
        self._throttle = throttle

    async def begin(self, user_id: UUID) -> AsyncIterator[bytes]:
        """Read the first line; the others are read as the client takes them. The last one is `END`.

        Raises:
            AccountGone: The account is gone.
            SignInThrottled: The user began too many.
        """
        await self._throttle.count(Source.data_export(user_id=user_id, allowed=ALLOWED))
        first, _ = await self._page(user_id, SECTIONS["profile"], None)
        if not first:
            raise AccountGone
        _log.info("data_exported", user_id=str(user_id))
        return self._lines(user_id)

    async def _lines(self, user_id: UUID) -> AsyncIterator[bytes]:
        for kind, section in SECTIONS.items():
            place: Place | None = None
            while True:
                documents, place = await self._page(user_id, section, place)
                if documents:
                    yield b"".join(f'{{"kind":"{kind}","data":{each}}}\n'.encode() for each in documents)
                if place is None:
                    break
        yield END

    async def _page(self, user_id: UUID, section: Section, after: Place | None) -> tuple[list[str], Place | None]:
        async with self._database.acting(user_id) as connection:
            return await repository.page(connection, section, after)
