"""Which errors mean that PostgreSQL is away, and their translation into an error of the caller's room."""

from __future__ import annotations

from collections.abc import Callable

import asyncpg

AWAY: tuple[type[BaseException], ...] = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the connection broke in the middle of an answer
    asyncpg.OperatorInterventionError,  # it starts, stops or cancelled the statement
    asyncpg.InsufficientResourcesError,  # its disk is full, its memory or its connections are used up
    asyncpg.PostgresIOError,
)
"""PostgreSQL does not answer for now. The statement may or may not have been carried out."""


class StatementTooSlow(TimeoutError):
    """A statement took longer than it may, and was cancelled. PostgreSQL itself may be well."""


class PoolerInBetween(asyncpg.InterfaceError):
    """A pooler answered where a direct connection is needed. Until the URL is right, PostgreSQL counts as away."""


class RowRefused(Exception):
    """Row-level security or a foreign key did not admit a row: what the actor was allowed may be over by now."""


FAILED: tuple[type[BaseException], ...] = (*AWAY, asyncpg.PostgresError)
"""Any failure: a background role starts again after each, since a missing right or table is put right by people."""


def describe(error: BaseException) -> str:
    """The kind and the message of an error in one line, for logs."""
    return " ".join(f"{type(error).__name__}: {error}".split())


class translating:  # noqa: N801 -- reads as a word after `with`
    """Raises the caller's own error in place of the driver's: `with translating(lambda lost: Unavailable(...)):`.

    One instance serves any number of blocks at once. It is a class because a generator costs more on the hot path.
    """

    __slots__ = ("_errors", "_into")

    def __init__(
        self, into: Callable[[BaseException], Exception], *, errors: tuple[type[BaseException], ...] = AWAY
    ) -> None:
        """Take what makes the new error of the old one, and which errors to translate."""
        self._into = into
        self._errors = errors

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, self._errors):
            raise self._into(error) from error
