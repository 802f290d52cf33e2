"""Statements composed on the models: named parameters, no values, the actor first."""

from uuid import UUID

import pytest
import sqlalchemy as sa

from taskbell.local import db
from taskbell.store.compose import actor_set, compile_statement, parameter
from taskbell.store.models import Task

_TASK = sa.alias(sa.inspect(Task).local_table, "t")


def test_parameters_are_named_and_typed():
    """The text has a number and a cast for each name; a name that occurs twice has one number."""
    wanted = parameter("wanted", sa.SmallInteger())
    statement = compile_statement(
        sa.select(_TASK.c.id)
        .where(_TASK.c.priority == wanted, _TASK.c.position > wanted)
        .limit(parameter("limit", sa.Integer()))
    )
    assert statement.parameters == ("wanted", "limit")
    assert statement.text.count("$1::SMALLINT") == 2
    assert "LIMIT $2::INTEGER" in statement.text
    assert statement.arguments({"limit": 3, "wanted": 5}) == (5, 3)


@pytest.mark.parametrize(
    "condition", [_TASK.c.title == "Robert'); DROP TABLE tasks;--", _TASK.c.priority.in_([1, 2]), _TASK.c.version > 1]
)
def test_values_are_refused(condition):
    """What is not a named parameter does not get into a statement."""
    with pytest.raises(ValueError, match="holds values"):
        compile_statement(sa.select(_TASK.c.id).where(condition))


@pytest.mark.feature("M33")
async def test_the_actor_is_set_for_the_statement_alone(database):
    """`actor_set` sets the actor, returns it, and it ends with the statement."""
    statement, ann = compile_statement(sa.select(actor_set().c.id)), UUID(int=7)
    async with db.connected(database.api_url) as connection:
        assert await statement.value(connection, actor=ann) == ann
        assert not await connection.fetchval("SELECT current_setting('taskbell.actor', true)")
