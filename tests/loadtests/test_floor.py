from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from taskbell.api.tasks.lists import in_workspace
from taskbell.api.tasks.repository import list_statement
from taskbell.api.tasks.schemas import Sort, TaskListQuery
from taskbell.kit.postgres.statements import load

FLOOR = Path(__file__).parents[2] / "loadtests" / "floor"


@pytest.mark.parametrize("name", ["create_task", "get_task"])
def test_the_floor_runs_the_same_statements(name):
    """The benchmark's floor does the API's own SQL, so that their ratio speaks of what is around it."""
    assert (FLOOR / f"{name}.sql").read_text().strip() == load("taskbell.api.tasks", name).text


def test_the_floor_lists_by_the_same_statement():
    """The floor's list is the statement that the API composes for a workspace in its own order."""
    listing = in_workspace(UUID(int=1), TaskListQuery(), sort=Sort.POSITION)
    composed = list_statement(tuple(listing.arguments), listing.sort, continued=False)
    assert composed.parameters == ("actor", "workspace_id", "limit")
    assert (FLOOR / "list_tasks.sql").read_text().split() == composed.text.split()
