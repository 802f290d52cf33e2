"""Many clients change and move the same tasks at the same time, in several partitions."""

import asyncio
import itertools
import json
import random

import pytest

_SPREAD = """
INSERT INTO tasks (id, workspace_id, title, created_by)
SELECT uuidv7(n % 3 * interval '95 days'), $1, 'T' || n, $2 FROM generate_series(1, 12) n RETURNING id
"""


@pytest.fixture
async def tasks(ann, owner):
    """A dozen tasks of Ann in three partitions."""
    found = [str(row["id"]) for row in await owner.fetch(_SPREAD, ann.workspace_id, ann.user_id)]
    assert await owner.fetchval("SELECT count(DISTINCT tableoid) FROM tasks") == 3
    return found


@pytest.mark.feature("T7")
async def test_every_change_of_one_row_is_kept_in_its_order(ann, owner, events, tasks):
    """Changes, moves and an intruder's writes meet in the same rows.

    No request fails, which each would whose backend crashes; every version has its event, in the order of the ids; no
    positions are equal.
    """
    chance = random.Random(34)
    stopping = asyncio.Event()

    async def intrude():
        while not stopping.is_set():
            task = chance.choice(tasks)
            await owner.execute("UPDATE tasks SET priority = priority % 10 + 1 WHERE id = $1", task)

    async def work(number):
        statuses = []
        for step in range(25):
            task, anchor = chance.sample(tasks, 2)
            if chance.random() < 0.5:
                body = {"title": f"{number} {step}", "assignee_ids": [ann.user_id]}
                answer = await ann.request("PATCH", f"/tasks/{task}", json=body)
            else:
                place = chance.choice(["before", "after"])
                answer = await ann.request("POST", f"/tasks/{task}/move", json={place: anchor})
            statuses.append(answer.status_code)
        return statuses

    intruder = asyncio.create_task(intrude())
    answers = await asyncio.gather(*(work(number) for number in range(20)))
    stopping.set()
    await intruder
    assert {*itertools.chain(*answers)} == {200}
    rows = await owner.fetch("SELECT id, version, position FROM tasks")
    assert len({row["position"] for row in rows}) == len(rows)
    for row in rows:
        told = [json.loads(event["text"])["version"] for event in await events(row["id"])]
        assert told == sorted(told)
        assert sorted({*told}) == list(range(2, row["version"] + 1))
