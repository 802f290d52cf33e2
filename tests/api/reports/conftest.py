"""People of one workspace, a history of their tasks, and the relay's folding of it, step by step."""

import pytest

from colleagues import ann, bob, cid, dan, owner, person
from histories import LONG_AGO, Transactional
from taskbell.local import db

__all__ = ["ann", "bob", "cid", "dan", "owner", "person"]


@pytest.fixture
async def write(owner):
    """Begins a history of a workspace; facts of any time count."""
    await owner.execute("UPDATE report_state SET counted_from = $1", LONG_AGO)

    def begin(workspace_id):
        return Transactional(owner, workspace_id)

    return begin


@pytest.fixture
async def relay(database):
    """A connection with the relay's rights."""
    async with db.connected(database.relay_url) as connection:
        yield connection


@pytest.fixture
def fold(relay):
    """Folds about so many events, or all."""

    async def fold(at_most=None):
        if at_most is not None:
            return await relay.fetchval("SELECT taskbell.fold_reports($1)", at_most)
        while await relay.fetchval("SELECT taskbell.fold_reports(1000)") == 1000:
            pass
        return None

    return fold
