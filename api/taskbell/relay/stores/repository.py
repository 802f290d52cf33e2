"""What PostgreSQL says of itself to a role without special rights."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from taskbell.kit.postgres.connection import Session, open_session
from taskbell.kit.postgres.statements import load
from taskbell.relay.errors import AWAY

_COUNT_CONNECTIONS = load(__package__, "count_connections")
_MEASURE_DATABASE = load(__package__, "measure_database")
_MEASURE_TABLES = load(__package__, "measure_tables")
_STATEMENT_SECONDS = 10.0
_SETTINGS = {"application_name": "taskbell-relay-stores", "jit": "off"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFacts:
    """A table with all its partitions.

    Attributes:
        name: Its name.
        partitions: How many it has; 0 if it is not divided.
        data_bytes: What its rows take, long texts included.
        index_bytes: What its indexes take.
        live_rows: Rows, as the server estimates.
        dead_rows: Rows that were changed or deleted and wait for vacuum, as the server estimates.
        rows_outside: Rows in the default partition, which no other partition covers.
    """

    name: str
    partitions: int
    data_bytes: float
    index_bytes: float
    live_rows: float
    dead_rows: float
    rows_outside: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseFacts:
    """The database and its server.

    Attributes:
        bytes: What the database takes on disk.
        commits: Transactions that were committed since the statistics began.
        rollbacks: Transactions that were rolled back.
        deadlocks: Deadlocks that the server ended.
        temp_bytes: Bytes of sorts and hashes that did not fit in memory.
        bytes_from_memory: Bytes of pages that were found in the server's memory.
        bytes_from_disk: Bytes of pages that were not.
        waiting_locks: Sessions' requests for locks that wait.
        transactions_not_frozen: Age in transactions of the oldest row that vacuum has not frozen.
        transactions_held_back: Transactions that began since the oldest one that still writes.
        most_connections: The server's `max_connections`.
        log_bytes: Bytes of write-ahead log since the server was made.
        replicas: Replicas that are connected.
        replica_lag_bytes: Bytes of write-ahead log that the slowest replication slot has not confirmed.
    """

    bytes: int
    commits: int
    rollbacks: int
    deadlocks: int
    temp_bytes: int
    bytes_from_memory: int
    bytes_from_disk: int
    waiting_locks: int
    transactions_not_frozen: int
    transactions_held_back: int
    most_connections: int
    log_bytes: float
    replicas: int
    replica_lag_bytes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresFacts:
    """One measurement of PostgreSQL; `connections` are counted by role."""

    database: DatabaseFacts
    connections: Mapping[str, int]
    tables: Sequence[TableFacts]


@asynccontextmanager
async def measuring(url: str) -> AsyncIterator[Postgres]:
    """Connect as the relay. Raises `DatabaseUnavailable` when PostgreSQL is away."""
    async with open_session(url, away=AWAY, settings=_SETTINGS, statement_seconds=_STATEMENT_SECONDS) as session:
        yield Postgres(session)


class Postgres:
    """Measures PostgreSQL. Every call raises `DatabaseUnavailable` when it is away or refuses."""

    def __init__(self, session: Session) -> None:
        """Take a session, which the caller closes."""
        self._session = session

    async def look(self) -> PostgresFacts:
        """Measure once: three statements, which read statistics and no rows."""
        (database,) = await _MEASURE_DATABASE.rows(self._session)
        connections = await _COUNT_CONNECTIONS.rows(self._session)
        tables = await _MEASURE_TABLES.rows(self._session)
        return PostgresFacts(
            database=DatabaseFacts(**database),
            connections={row["role"]: row["connections"] for row in connections},
            tables=[TableFacts(**row) for row in tables],
        )
