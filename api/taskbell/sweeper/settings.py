"""Settings of the sweeps."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from annotated_types import Ge, Interval
from pydantic import SecretStr, ValidationInfo, field_validator

from taskbell.kit.postgres.settings import PooledSettings
from taskbell.store.partitions import MaintenanceSettings


class SweepSettings(PooledSettings):
    """Settings of `taskbell remind --kind due`, `overdue`, `stale` and `digest`."""

    database_url: SecretStr
    """PostgreSQL primary, with the rights of role `taskbell_sweeper`."""
    nats_url: SecretStr | None = None
    """NATS, to poke the relay after a batch. If it is unset or down, the relay's poll finds the events half a second
    later."""
    reminder_batch_size: Annotated[int, Interval(ge=1, le=10_000)] = 500
    """Reminders fired, or users looked at for a digest, in one transaction; a killed sweep leaves at most so many to
    the next."""
    stale_after: Annotated[timedelta, Interval(ge=timedelta(hours=1), le=timedelta(days=60))] = timedelta(days=7)
    """A task is stale when its status has not changed for so long."""


class RetentionSettings(MaintenanceSettings):
    """Settings of `taskbell remind --kind maintenance`."""

    event_retention: Annotated[timedelta, Ge(timedelta(days=3))] = timedelta(days=7)
    """Shortest time that events are kept: a partition is dropped when all of its events are older. At least 3 days: an
    alert may wait for the end of quiet hours, and is then tried for a day."""
    notification_retention: Annotated[timedelta, Ge(timedelta(hours=1))] = timedelta(days=90)
    """Shortest time that notifications stay in the inbox: a partition is dropped when all of it is older."""
    delivery_retention: Annotated[timedelta, Ge(timedelta(days=31))] = timedelta(days=90)
    """Shortest time that the delivery log is kept. At least TASKBELL_EVENT_RETENTION, otherwise a replay of the stream
    would send events again."""

    @field_validator("delivery_retention")
    @classmethod
    def _check_ledger(cls, value: timedelta, others: ValidationInfo) -> timedelta:
        if value < others.data.get("event_retention", timedelta(0)):
            raise ValueError("must not be shorter than TASKBELL_EVENT_RETENTION")
        return value
