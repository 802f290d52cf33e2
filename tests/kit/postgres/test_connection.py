"""A session: one connection whose errors become the caller's own."""

import pytest

from taskbell.kit.postgres.connection import open_session
from taskbell.kit.postgres.errors import FAILED, describe, translating


class Lost(Exception):
    """What the session raises in these tests."""


_LOST = translating(lambda lost: Lost(describe(lost)), errors=FAILED)


async def test_an_address_without_postgresql_is_told(free_port):
    """A connection that is refused is translated, too."""
    with pytest.raises(Lost, match="ConnectionRefusedError"):
        async with open_session(f"postgresql://nobody@127.0.0.1:{free_port}/nothing", away=_LOST):
            pass


async def test_a_session_has_its_settings_and_its_limit(database):
    """Settings hold from the first statement on, and a statement that takes too long is ended."""
    settings = {"application_name": "tried"}
    async with open_session(database.api_url, away=_LOST, settings=settings, statement_seconds=0.2) as session:
        assert await session.fetchval("SHOW application_name") == "tried"
        with pytest.raises(Lost, match="TimeoutError"):
            await session.execute("SELECT pg_sleep(60)")


async def test_a_session_that_ended_stays_ended(database):
    """What its server kept for it is gone: no second connection takes its place unnoticed."""
    async with open_session(database.api_url, away=_LOST) as session:
        for _ in range(2):
            with pytest.raises(Lost):
                await session.fetchval("SELECT pg_terminate_backend(pg_backend_pid())")
