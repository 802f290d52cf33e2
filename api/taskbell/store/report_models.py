"""The tables of the summaries that reports read, see docs/adr/0040-reports-from-cells.md."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Integer, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from taskbell.store.declarative import NOW, Model, Xid8


class ReportCell(Model):
    """How often something happened in a span of time, or how many open tasks are due in it.

    The functions `fold_reports` and `check_reports` write it, and nothing else. It has no foreign
    key: events of a workspace that is gone must not stop the summing up of all others.
    """

    __tablename__ = "report_cells"
    __table_args__ = (
        CheckConstraint(
            "measure IN ('created', 'completed', 'reopened', 'cancelled', 'deleted', 'cycle_time', 'pending', "
            "'in_progress')",
            name="report_cells_measure",
        ),
        CheckConstraint("grain IN (0, 15, 180, 1440, 23040)", name="report_cells_grain"),
    )

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    measure: Mapped[str] = mapped_column(primary_key=True)
    grain: Mapped[int] = mapped_column(Integer, primary_key=True)
    """Length of the span in minutes; 0 is all time."""
    person_id: Mapped[UUID] = mapped_column(primary_key=True)
    """Of whom; the nil UUID is everybody, the largest one nobody (open tasks without assignees)."""
    start_at: Mapped[datetime] = mapped_column(primary_key=True)
    """Start of the span: a multiple of its length since 1970. Infinity: open tasks that are not due."""
    bin: Mapped[int] = mapped_column(Integer, primary_key=True)
    """Of `cycle_time`: the power of 1.1 below the duration in milliseconds. Else 0."""
    amount: Mapped[int] = mapped_column(BigInteger)
    millis: Mapped[int] = mapped_column(BigInteger)
    """Of `cycle_time`: the sum of the durations, in milliseconds. Else 0."""


class ReportState(Model):
    """How far events are summed up in `report_cells`. One row, whose lock lets those who sum up take turns."""

    __tablename__ = "report_state"
    __table_args__ = (CheckConstraint("id = 1", name="report_state_single_row"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, server_default="1", autoincrement=False)
    folded_until: Mapped[int] = mapped_column(Xid8)
    """Events of all transactions before this one are summed up."""
    folded_at: Mapped[datetime] = mapped_column(server_default=NOW)
    counted_from: Mapped[datetime]
    """What happened since then is counted from events; what was before, from the tasks as the upgrade found them."""
    seed_after: Mapped[UUID | None]
    """The last task that was counted of those; NULL when all are."""
    checked_until: Mapped[datetime | None]
    """The cells before it were compared with the events."""
    repaired: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """Cells that a check found wrong and put right."""
