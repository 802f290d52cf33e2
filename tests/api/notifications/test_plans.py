"""The inbox reads few rows, however many notifications the user and all other users have."""

import json

import pytest

from taskbell.api.notifications import repository
from taskbell.kit.ids import new_id
from taskbell.local import db

_FILL = """
INSERT INTO notifications (id, user_id, kind, workspace_id, title, body, read_at)
SELECT uuidv7(interval '30 days' * (n % 3 - 1)), $1, 'due_soon', $2, 'T', 'Due', CASE WHEN n % 50 > 0 THEN now() END
FROM generate_series(1, $3::int) n
"""


def _nodes(plan):
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


async def _plan(connection, statement, **named):
    written = ", ".join("NULL" if value is None else f"'{value}'" for value in statement.arguments(named))
    async with connection.transaction():  # behind PgBouncer a session lasts no longer
        await connection.execute(f"PREPARE hot AS {statement.text}")
        text = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) EXECUTE hot({written})")
        await connection.execute("DEALLOCATE hot")
    return list(_nodes(json.loads(text)[0]["Plan"]))


@pytest.fixture
async def full(owner, ann, bob):
    """Five thousand notifications of Ann, in three partitions, and as many of Bob."""
    for person in (ann, bob):
        await owner.execute(_FILL, person.user_id, person.workspace_id, 5000)
    await owner.execute("ANALYZE notifications")
    return ann


@pytest.mark.feature("H20", "P15")
@pytest.mark.parametrize("unread", [False, True])
@pytest.mark.parametrize("continued", [False, True])
async def test_a_page_is_a_range_of_an_index(full, database, unread, continued):
    """No sequential scan, no sort of more than a page, and no more rows read than a page and the unread count have."""
    statement = repository.list_statement(unread=unread, continued=continued)
    named = {"actor": full.user_id, "limit": 21, "counted": 1001} | ({"after": new_id()} if continued else {})
    async with db.connected(database.api_url) as connection:
        nodes = await _plan(connection, statement, **named)
    scans = [node for node in nodes if node.get("Relation Name", "").startswith("notifications")]
    assert len(scans) >= 6
    read = [node for node in scans if node["Actual Rows"] + node.get("Rows Removed by Filter", 0)]
    assert {node["Node Type"] for node in read} <= {"Index Scan", "Index Only Scan"}  # an empty partition is read whole
    assert all(node["Actual Rows"] + node.get("Rows Removed by Filter", 0) <= 100 for node in read), read
    assert all(node["Actual Rows"] <= 22 for node in nodes if "Sort" in node["Node Type"])


@pytest.mark.parametrize("listed", [False, True])
async def test_marking_reads_what_it_marks(full, owner, database, listed):
    """One of thousands is found by its id, and the unread ones among thousands that are read by their own index."""
    await owner.execute("UPDATE notifications SET read_at = now()")
    one = await owner.fetchval(
        "UPDATE notifications SET read_at = NULL"
        " WHERE id = (SELECT id FROM notifications WHERE user_id = $1 ORDER BY id DESC LIMIT 1) RETURNING id",
        full.user_id,
    )
    await owner.execute("VACUUM ANALYZE notifications")
    async with db.connected(database.api_url) as connection, connection.transaction():
        await connection.execute(f"SET LOCAL taskbell.actor = '{full.user_id}'")
        nodes = await _plan(
            connection,
            repository._MARK,
            read="true",
            notification_ids=f"{{{one}}}" if listed else None,
            limit=1000,
            traceparent=None,
        )
    scans = [node for node in nodes if node.get("Relation Name", "").startswith("notifications")]
    read = sum(node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in scans)
    assert 1 <= read <= 4, scans
