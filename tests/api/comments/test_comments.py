"""Comments: who may write, read and delete them, what is written with them, and that a list of them is whole."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from taskbell.api.comments import repository
from taskbell.api.http import paging
from taskbell.local import db

_NOBODY = "00000000-0000-7000-8000-000000000000"
_LONGEST = 10_000


@pytest.fixture
async def task(ann):
    """A task of Ann's."""
    return await ann.create("A task")


def _path(task, comment=None):
    return f"/tasks/{task['id']}/comments" + (f"/{comment['id']}" if comment else "")


async def _page(person, task, **params):
    return (await person.request("GET", _path(task), status=200, params=params)).json()


async def _roles(owner, person, host, role):
    await owner.execute(
        "UPDATE memberships SET role = $3 WHERE user_id = $1 AND workspace_id = $2",
        person.user_id,
        host.workspace_id,
        role,
    )


@pytest.mark.feature("F2")
async def test_a_comment_is_an_event_to_the_workspace_and_a_notification_to_those_concerned(
    ann, bob, cid, told, validate_event
):
    """The answer, the event's data and the list are the same object; who is mentioned is told so, and not twice."""
    task = await ann.create(assignee_ids=[bob.user_id])
    comment = await cid.comment(task, "Look, Bob", mention_ids=[bob.user_id])
    assert comment == comment | {
        "task_id": task["id"],
        "workspace_id": ann.workspace_id,
        "author_id": cid.user_id,
        "body": "Look, Bob",
        "mention_ids": [bob.user_id],
    }
    events = (await told())[3:]
    assert [kind for kind, _, _ in events] == ["comment.created", *["notification.created"] * 2]
    assert events[0][1:] == ({ann.user_id, bob.user_id}, comment)
    for kind, _, data in events:
        validate_event(kind, data)
    assert (await _page(ann, task))["items"] == [comment]
    (to_ann,) = (await ann.inbox())["items"]
    (to_bob, _) = (await bob.inbox())["items"]
    assert [(item["kind"], item["title"], item["body"]) for item in (to_ann, to_bob)] == [
        ("comment", "A task", "Look, Bob"),
        ("mention", "A task", "Look, Bob"),
    ]
    assert (await cid.inbox())["items"] == []


async def test_a_long_comment_is_an_excerpt_in_the_inbox(ann, bob):
    """A notification holds the first 300 characters and says that there are more."""
    task = await ann.create(assignee_ids=[bob.user_id])
    for length, shown in ((300, "x" * 300), (301, "x" * 300 + "…")):
        await ann.comment(task, "x" * length)
        assert (await bob.inbox(limit=1))["items"][0]["body"] == shown


@pytest.mark.feature("H8")
async def test_the_list_is_whole_and_in_order_while_comments_are_written(ann, bob, task):
    """Pages by cursor hold each comment once, oldest first, those too that others write at the same time."""
    written, found, cursor = [], [], {}

    async def write(person):
        written.extend([await person.comment(task, f"{number}") for number in range(10)])

    async def read():
        nonlocal cursor
        while len(found) < 20:
            page = await _page(ann, task, limit=3, **cursor)
            found.extend(page["items"])
            last = page["meta"]["next_cursor"]
            if last is None and len(found) < 20:  # from the beginning, as a client that has no cursor
                found.clear()
            cursor = {"cursor": last} if last else {}

    async with asyncio.timeout(60):
        await asyncio.gather(write(ann), write(bob), read())
    assert found == sorted(written, key=lambda comment: comment["id"])
    assert len({comment["id"] for comment in found}) == 20


async def test_a_page_ends_before_it_is_too_large(ann, task, monkeypatch):
    """A page has one comment at least and as many as its bytes allow; joined they are the list."""
    for number in range(5):
        await ann.comment(task, str(number))
    size = len(json.dumps((await _page(ann, task, limit=1))["items"][0], separators=(",", ":")))
    for most, pages in ((1, [1] * 5), (2 * size + 1, [2, 2, 1]), (5 * size, [5])):
        monkeypatch.setattr(paging, "PAGE_BYTES", most)
        found, cursor = [], {}
        while not found or cursor:
            page = await _page(ann, task, limit=100, **cursor)
            found.append([item["body"] for item in page["items"]])
            last = page["meta"]["next_cursor"]
            cursor = {"cursor": last} if last else {}
        assert [len(page) for page in found] == pages
        assert [body for page in found for body in page] == list("01234")


async def test_the_longest_comments_fill_pages_of_a_megabyte(ann, task, owner):
    """A hundred comments of 40,000 bytes are four pages, and PostgreSQL makes no document that no page holds."""
    await owner.execute(
        "INSERT INTO comments (task_id, workspace_id, author_id, body)"
        " SELECT $1, $2, $3, repeat('😀', 10000) FROM generate_series(1, 100)",
        task["id"],
        ann.workspace_id,
        ann.user_id,
    )
    sizes, cursor = [], {}
    while not sizes or cursor:
        answer = await ann.request("GET", _path(task), status=200, params={"limit": 100, **cursor})
        sizes.append((len(answer.content), len(answer.json()["items"])))
        last = answer.json()["meta"]["next_cursor"]
        cursor = {"cursor": last} if last else {}
    assert sum(count for _, count in sizes) == 100
    assert max(size for size, _ in sizes) < paging.PAGE_BYTES + 1000
    assert len(sizes) < 12


async def test_a_cursor_is_for_one_task(ann, task):
    """The cursor of another task's comments is refused."""
    for _ in range(2):
        await ann.comment(task)
    cursor = (await _page(ann, task, limit=1))["meta"]["next_cursor"]
    other = await ann.create()
    await ann.request("GET", _path(other), status=400, params={"cursor": cursor})


@pytest.mark.feature("P4", "M33")
async def test_who_may_delete_a_comment(ann, bob, cid, owner, task, told, validate_event):
    """Its author, admins and owners, with an event; another member and a viewer get a 403, and it stays."""
    comment = await bob.comment(task)
    await cid.request("DELETE", _path(task, comment), status=403)
    await _roles(owner, bob, ann, "viewer")
    await bob.request("DELETE", _path(task, comment), status=403)
    await bob.request("POST", _path(task), status=403, json={"body": "No"})
    assert (await _page(bob, task))["items"] == [comment]
    await _roles(owner, bob, ann, "member")
    await bob.request("DELETE", _path(task, comment), status=204)
    kind, audience, data = (await told())[-1]
    assert (kind, audience, data) == ("comment.deleted", {ann.user_id}, comment)
    validate_event(kind, data)
    await bob.request("DELETE", _path(task, comment), status=404)
    for role in ("admin", "owner"):
        await _roles(owner, cid, ann, role)
        await cid.request("DELETE", _path(task, await bob.comment(task)), status=204)
    assert (await _page(ann, task))["items"] == []


async def test_a_comment_is_found_under_its_task_alone(ann, task):
    """Its id under another task is a 404."""
    comment = await ann.comment(task)
    await ann.request("DELETE", _path(await ann.create(), comment), status=404)
    await ann.request("DELETE", _path(task, {"id": _NOBODY}), status=404)
    assert (await _page(ann, task))["items"] == [comment]


async def test_a_deleted_task_takes_its_comments_with_it(ann, owner, task, told):
    """Nothing of them stays, and `task.deleted` is the only event."""
    comment = await ann.comment(task)
    await ann.request("DELETE", f"/tasks/{task['id']}", status=204)
    assert [kind for kind, _, _ in await told()] == ["task.created", "comment.created", "task.deleted"]
    for method, path in (("GET", _path(task)), ("POST", _path(task)), ("DELETE", _path(task, comment))):
        await ann.request(method, path, status=404, **({"json": {"body": "Late"}} if method == "POST" else {}))
    assert await owner.fetchval("SELECT count(*) FROM comments") == 0


@pytest.mark.feature("M35", "M33")
async def test_only_members_can_be_mentioned(ann, bob, dan, task, told):
    """Strangers and unknown users are refused by the pointers to their places, and nothing is written."""
    before = await told()
    sent = {"body": "Hello", "mention_ids": [bob.user_id, dan.user_id, _NOBODY]}
    problem = (await ann.request("POST", _path(task), status=422, json=sent)).json()
    assert [(error["pointer"], error["code"]) for error in problem["errors"]] == [
        ("/mention_ids/1", "mentioned_not_member"),
        ("/mention_ids/2", "mentioned_not_member"),
    ]
    assert await told() == before
    assert (await dan.inbox())["items"] == []


@pytest.mark.parametrize(
    ("sent", "pointer"),
    [
        ({}, "/body"),
        ({"body": ""}, "/body"),
        ({"body": " \n\t"}, "/body"),
        ({"body": "x" * 10_001}, "/body"),
        ({"body": "nul \x00"}, "/body"),
        ({"body": 1}, "/body"),
        ({"body": "x", "mention_ids": [_NOBODY] * 2}, "/mention_ids"),
        ({"body": "x", "mention_ids": [f"00000000-0000-7000-8000-{n:012d}" for n in range(51)]}, "/mention_ids"),
        ({"body": "x", "mentions": []}, "/mentions"),
    ],
)
async def test_what_is_no_comment_is_refused(ann, task, sent, pointer):
    """By the pointer to what is wrong, before the database is asked."""
    problem = (await ann.request("POST", _path(task), status=422, json=sent)).json()
    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert (await _page(ann, task))["items"] == []


_TEXTS = (
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=400)
    | st.sampled_from(["\x01" * _LONGEST, "😀" * _LONGEST, '"\\' * 5000, "'); DROP TABLE comments;--", "a\r\nb  "])
).filter(lambda text: text.strip())


def _examples():
    """Texts that hypothesis draws; it calls no coroutine itself."""
    drawn = []

    @profile(max_examples=60, deadline=None, database=None)
    @given(_TEXTS)
    def draw(text):
        drawn.append(text)

    draw()
    return drawn


@pytest.mark.feature("M36")
async def test_any_text_comes_back_as_it_was_sent(ann, task, validate_event):
    """Whatever Unicode a comment holds, up to the longest, whose JSON is six times its size: nothing changes it."""
    for text in _examples():
        comment = await ann.comment(task, text)
        assert comment["body"] == text
        validate_event("comment.created", comment)
    assert {comment["body"] for comment in (await _page(ann, task))["items"]} >= {text}


async def test_a_full_or_busy_workspace_takes_no_comment(app, ann, owner, task):
    """Comments count like tasks: they need room, and wait while the workspace has written too much."""
    comment = await ann.comment(task)
    for seconds, full, status in ((60, False, 429), (None, True, 413)):
        await owner.execute(
            "INSERT INTO workspace_usage (workspace_id, measured_at, refused_until, tasks_full)"
            " VALUES ($1, now(), now() + $2 * interval '1 s', $3)"
            " ON CONFLICT (workspace_id) DO UPDATE SET refused_until = excluded.refused_until, tasks_full = $3",
            ann.workspace_id,
            seconds,
            full,
        )
        await app.state.services.quotas.read()
        await ann.request("POST", _path(task), status=status, json={"body": "More"})
    await ann.request("DELETE", _path(task, comment), status=204)


async def test_comments_count_as_what_tasks_take(ann, owner, task):
    """The measure of a workspace's tasks grows by the texts on them."""
    before = await owner.fetchval("SELECT taskbell.task_bytes($1)", ann.workspace_id)
    await ann.comment(task, "x" * 1000)
    assert await owner.fetchval("SELECT taskbell.task_bytes($1)", ann.workspace_id) >= before + 1000


@pytest.fixture
async def crowded(ann, owner, task):
    """The task, with 20,000 comments of one author."""
    await owner.execute(
        "INSERT INTO comments (task_id, workspace_id, author_id, body)"
        " SELECT $1, $2, $3, 'x' FROM generate_series(1, 20000)",
        task["id"],
        ann.workspace_id,
        ann.user_id,
    )
    await owner.execute("VACUUM ANALYZE comments")
    return task


async def _blocks(connection, query):
    """How many pages of the database a query reads."""
    top = json.loads(await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}"))[0]["Plan"]
    return top["Shared Hit Blocks"] + top["Shared Read Blocks"]


async def test_thousands_of_comments_cost_what_a_page_costs(ann, owner, crowded, database):
    """A page is a range of an index, and who commented is found by a look-up for each author, not for each comment."""
    middle = await owner.fetchval("SELECT id FROM comments ORDER BY id OFFSET 10000 LIMIT 1")
    named = {"actor": ann.user_id, "task_id": crowded["id"], "past": middle, "most_bytes": 2**19, "at_most": 101}
    async with db.connected(database.api_url) as connection:
        values = ", ".join(f"'{value}'" for value in repository._LIST.arguments(named))
        await connection.execute(f"PREPARE listing AS {repository._LIST.text}")
        assert await _blocks(connection, f"EXECUTE listing({values})") < 300
        await connection.execute(f"SET taskbell.actor = '{ann.user_id}'")
        ids = f"'{ann.workspace_id}', '{crowded['id']}'"
        assert await _blocks(connection, f"SELECT taskbell.commenters({ids})") < 100
