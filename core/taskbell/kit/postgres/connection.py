"""One connection of its own, for programs that hold session settings or run and end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import asyncpg

from taskbell.kit.postgres.errors import FAILED, translating
from taskbell.kit.postgres.pool import Connections

_CONNECT_SECONDS = 5.0
_CLOSE_SECONDS = 1.0


class Session(Connections[asyncpg.Connection]):
    """One connection. A failure to reach PostgreSQL becomes the caller's own error; the session is never made again."""

    def __init__(self, connection: asyncpg.Connection, *, away: translating) -> None:
        """Take a connection, which the caller closes, and what translates errors."""
        self._connection = connection
        self._away = away

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """Lend the connection; what fails in the block is translated."""
        with self._away:
            yield self._connection


@asynccontextmanager
async def open_session(
    url: str,
    *,
    away: translating,
    settings: Mapping[str, str] | None = None,
    statement_seconds: float | None = None,
    connect_seconds: float = _CONNECT_SECONDS,
) -> AsyncIterator[Session]:
    """Open a session for the length of the block. Raises the error that `away` makes.

    Args:
        url: PostgreSQL under the program's role.
        away: Translates errors, also those of connecting.
        settings: Session settings. PgBouncer admits only a few, such as `application_name`.
        statement_seconds: How long a statement may take; None sets no limit.
        connect_seconds: How long connecting may take.
    """
    with away:
        connection = await asyncpg.connect(
            url,
            timeout=connect_seconds,
            command_timeout=statement_seconds,
            server_settings=None if settings is None else dict(settings),
        )
    try:
        yield Session(connection, away=away)
    finally:
        try:
            await connection.close(timeout=_CLOSE_SECONDS)
        except FAILED:
            connection.terminate()
