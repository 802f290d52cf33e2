from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from taskbell.api.tasks.paging import order_of
from taskbell.api.tasks.repository import list_statement
from taskbell.api.tasks.schemas import Sort, TaskListQuery
from taskbell.api.tasks.selection import in_workspace
from taskbell.store.queries import load

FLOOR = Path(__file__).parents[2] / "loadtests" / "floor"


@pytest.mark.parametrize("name", ["create_task", "get_task"])
def test_the_floor_runs_the_same_statements(name):
    """The benchmark's floor does the API's own SQL, so that their ratio speaks of what is around it."""
    assert (FLOOR / f"{name}.sql").read_text() == load("taskbell.api.tasks", name)


def test_the_floor_lists_by_the_same_statement():
    """The floor's list is the statement that the API composes for a workspace in its own order."""
    selection = in_workspace(UUID(int=1), TaskListQuery())
    composed = list_statement(selection, order_of(Sort.POSITION), after=False)
    assert (FLOOR / "list_tasks.sql").read_text().split() == composed.split()
