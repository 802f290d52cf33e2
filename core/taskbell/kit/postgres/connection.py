"""One connection of its own, for programs that hold session settings or run and end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import asyncpg

from taskbell.kit.postgres.errors import FAILED, PoolerInBetween, translating
from taskbell.kit.postgres.pool import Connections
from taskbell.kit.postgres.statements import load

_SELECT_BACKEND = load(__package__, "select_backend")
_CONNECT_SECONDS = 5.0
_CLOSE_SECONDS = 1.0


class Session(Connections):
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


async def connect_directly(
    url: str,
    *,
    timeout: float = _CONNECT_SECONDS,  # noqa: ASYNC109 -- asyncpg's own
    command_timeout: float | None = None,
    server_settings: Mapping[str, str] | None = None,
) -> asyncpg.Connection:
    """Connect as asyncpg does, but to PostgreSQL itself. Costs a round trip more.

    A pooler gives its client a number of its own in place of the backend's, and may refuse settings at once.

    Raises:
        PoolerInBetween: A pooler answered.
    """
    try:
        connection = await asyncpg.connect(
            url,
            timeout=timeout,
            command_timeout=command_timeout,
            server_settings=None if server_settings is None else dict(server_settings),
        )
    except asyncpg.ProtocolViolationError as refused:
        if "startup parameter" in str(refused):
            raise _in_between() from refused
        raise
    try:
        is_direct = await _SELECT_BACKEND.value(connection) == connection.get_server_pid()
    except BaseException:
        connection.terminate()
        raise
    if not is_direct:
        connection.terminate()
        raise _in_between()
    return connection


def _in_between() -> PoolerInBetween:
    return PoolerInBetween("a pooler answers at this URL; this role needs a direct connection to PostgreSQL")


@asynccontextmanager
async def open_session(
    url: str,
    *,
    away: translating,
    settings: Mapping[str, str] | None = None,
    statement_seconds: float | None = None,
    connect_seconds: float = _CONNECT_SECONDS,
    direct: bool = False,
) -> AsyncIterator[Session]:
    """Open a session for the length of the block. Raises the error that `away` makes.

    Args:
        url: PostgreSQL under the program's role.
        away: Translates errors, also those of connecting.
        settings: Session settings. PgBouncer admits only a few, such as `application_name`.
        statement_seconds: How long a statement may take; None sets no limit.
        connect_seconds: How long connecting may take.
        direct: Refuse a pooler (`PoolerInBetween`, which `away` translates as all others).
    """
    connect = connect_directly if direct else asyncpg.connect
    with away:
        connection = await connect(
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
