"""The inbox: pages, the unread count, reading, and that it is one's own."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from taskbell.api.http import paging
from taskbell.api.notifications.repository import COUNTED
from taskbell.kit.ids import lowest_id

_NOBODY = "00000000-0000-7000-8000-000000000000"


@pytest.fixture
def fill(owner):
    """Writes notifications to a person."""

    async def write(person, count):
        await owner.execute(
            "INSERT INTO notifications (user_id, kind, workspace_id, title, body)"
            " SELECT $1, 'due_soon', $2, 'T' || n, 'Due' FROM generate_series(1, $3) n",
            person.user_id,
            person.workspace_id,
            count,
        )

    return write


@pytest.mark.feature("P15", "H8")
async def test_pages_go_on_by_cursor(ann, fill):
    """Newest first, nothing twice, nothing left out, also when newer ones arrive between the pages."""
    await fill(ann, 7)
    found, cursor = [], {}
    while not found or cursor:
        page = await ann.inbox(limit=3, **cursor)
        await fill(ann, 1)
        found += page["items"]
        following = page["meta"]["next_cursor"]
        assert page["meta"]["has_more"] == (following is not None)
        cursor = {"cursor": following} if following else {}
    assert [item["title"] for item in found] == [f"T{n}" for n in range(7, 0, -1)]
    assert [item["id"] for item in found] == sorted((item["id"] for item in found), reverse=True)


async def test_a_page_ends_before_it_is_too_large(ann, fill, monkeypatch):
    """A page has one notification at least and as many as its bytes allow; joined they are the inbox."""
    await fill(ann, 9)
    size = len(json.dumps((await ann.inbox(limit=1))["items"][0], separators=(",", ":")))
    for most, pages in ((1, [1] * 9), (2 * size + 1, [2, 2, 2, 2, 1]), (9 * size, [9])):
        monkeypatch.setattr(paging, "PAGE_BYTES", most)
        found, cursor = [], {}
        while not found or cursor:
            page = await ann.inbox(limit=1000, **cursor)
            found.append([item["title"] for item in page["items"]])
            following = page["meta"]["next_cursor"]
            cursor = {"cursor": following} if following else {}
        assert [len(page) for page in found] == pages
        assert [title for page in found for title in page] == [f"T{n}" for n in range(9, 0, -1)]


async def test_a_cursor_is_of_its_list(ann, fill):
    """The cursor of all notifications does not continue the unread ones."""
    await fill(ann, 3)
    cursor = (await ann.inbox(limit=1))["meta"]["next_cursor"]
    answer = await ann.request("GET", "/notifications", params={"unread": "true", "cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


@pytest.mark.feature("P15")
async def test_reading_is_an_event_to_oneself(ann, bob, told):
    """Marking as read and back changes the count and tells the other devices once; repeating it does nothing."""
    await ann.create(assignee_ids=[bob.user_id])
    (notice,) = (await bob.inbox(unread="true"))["items"]
    path = f"/notifications/{notice['id']}"
    read = (await bob.request("PATCH", path, status=200, json={"read": True})).json()
    assert read == notice | {"read_at": read["read_at"]}
    assert read["read_at"] is not None
    assert (await bob.request("PATCH", path, status=200, json={"read": True})).json() == read
    page = await bob.inbox(unread="true")
    assert (page["items"], page["meta"]["unread"]) == ([], 0)
    assert (await bob.inbox())["items"] == [read]
    assert (await bob.request("PATCH", path, status=200, json={"read": False})).json() == notice
    assert (await told())[3:] == [
        ("notification.read", {bob.user_id}, read | {"previous": {"read_at": None}}),
        ("notification.unread", {bob.user_id}, notice | {"previous": {"read_at": read["read_at"]}}),
    ]


@pytest.mark.feature("P15")
async def test_reading_many(ann, fill, told):
    """Those listed are marked, unknown ones passed over; then all: each that was unread is counted and told once."""
    await fill(ann, 5)
    ids = [item["id"] for item in (await ann.inbox())["items"]]
    listed = await ann.request("POST", "/notifications/read", status=200, json={"ids": [*ids[:2], _NOBODY]})
    assert listed.json() == {"read": 2}
    assert (await ann.inbox())["meta"]["unread"] == 3
    assert (await ann.request("POST", "/notifications/read", status=200, json={"all": True})).json() == {"read": 3}
    assert (await ann.request("POST", "/notifications/read", status=200, json={"all": True})).json() == {"read": 0}
    assert sorted(data["id"] for kind, _, data in await told() if kind == "notification.read") == sorted(ids)


@pytest.mark.feature("P15")
async def test_all_may_be_thousands_and_the_count_is_bounded(ann, fill):
    """The unread count stops at its cap and reports that; reading all continues until nothing is unread."""
    await fill(ann, COUNTED)
    assert (await ann.inbox(limit=1))["meta"]["unread"] == COUNTED
    assert not (await ann.inbox(limit=1))["meta"]["unread_capped"]
    await fill(ann, COUNTED + 1)
    meta = (await ann.inbox(limit=1))["meta"]
    assert (meta["unread"], meta["unread_capped"]) == (COUNTED, True)
    read = await ann.request("POST", "/notifications/read", status=200, json={"all": True})
    assert read.json() == {"read": 2 * COUNTED + 1}


@pytest.mark.parametrize("body", [{}, {"ids": []}, {"all": False}, {"ids": [_NOBODY], "all": True}, {"ids": ["x"]}])
async def test_what_to_read_must_be_said(ann, body):
    """Neither nothing nor both is a request."""
    await ann.request("POST", "/notifications/read", status=422, json=body)


@pytest.mark.feature("M33")
async def test_an_inbox_is_ones_own(ann, bob, dan, told):
    """Others' notifications are not there: not listed, not found, not marked, also not by the workspace's owner."""
    await ann.create(assignee_ids=[bob.user_id])
    (notice,) = (await bob.inbox())["items"]
    before = await told()
    for other in (ann, dan):
        assert (await other.inbox())["items"] == []
        await other.request("PATCH", f"/notifications/{notice['id']}", status=404, json={"read": True})
        read = await other.request("POST", "/notifications/read", status=200, json={"ids": [notice["id"]]})
        assert read.json() == {"read": 0}
    assert await told() == before


async def test_who_left_a_workspace_still_reads(ann, bob, told):
    """A notification of a workspace that one has left can be read; no event is written to that workspace."""
    await ann.create(assignee_ids=[bob.user_id])
    await ann.request("DELETE", f"/workspaces/{ann.workspace_id}/members/{bob.user_id}", status=204)
    before = await told()
    assert (await bob.request("POST", "/notifications/read", status=200, json={"all": True})).json() == {"read": 1}
    assert await told() == before


async def test_all_is_all_that_is_there_whatever_the_clocks_say(ann, owner):
    """A database whose clock is ahead of the API's makes ids of later times; what it shows can be marked."""
    await owner.execute(
        "INSERT INTO notifications (id, user_id, kind, workspace_id, title, body)"
        " VALUES ($1, $2, 'due_soon', $3, '', '')",
        lowest_id(datetime.now(UTC) + timedelta(minutes=5)),
        ann.user_id,
        ann.workspace_id,
    )
    assert (await ann.inbox())["meta"]["unread"] == 1
    assert (await ann.request("POST", "/notifications/read", status=200, json={"all": True})).json() == {"read": 1}
    assert (await ann.inbox())["meta"]["unread"] == 0
