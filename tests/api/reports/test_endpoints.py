"""Who may read reports, what they are asked, and how they answer."""

from datetime import timedelta

import pytest

_PATHS = ("throughput", "cycle-time", "overdue", "workload")


@pytest.mark.feature("M33", "M66")
@pytest.mark.parametrize("path", _PATHS)
@pytest.mark.parametrize("is_folded", [False, True])
async def test_a_stranger_reads_nothing(ann, dan, path, fold, is_folded):
    """Another workspace is a 404, also by an id that never was; one's own report holds nothing of it."""
    await ann.create(status="completed")
    await ann.create(due_at="2020-01-01T00:00:00Z")
    if is_folded:
        await fold()
    for workspace_id in (ann.workspace_id, "00000000-0000-7000-8000-000000000000"):
        await dan.request("GET", f"/reports/{path}", status=404, params={"workspace_id": workspace_id})
    own = (await dan.request("GET", f"/reports/{path}", status=200, params={"person_id": ann.user_id})).json()
    assert own["total"] == 0 or not any(value for name, value in own["total"].items() if name != "mean")


@pytest.mark.parametrize("path", _PATHS)
async def test_a_viewer_may_read(ann, bob, owner, path):
    """Reading needs no right to change; who was removed reads nothing any more."""
    await owner.execute("UPDATE memberships SET role = 'viewer' WHERE user_id = $1 AND role = 'member'", bob.user_id)
    params = {"workspace_id": ann.workspace_id}
    assert (await bob.request("GET", f"/reports/{path}", status=200, params=params)).json()["total"] is not None
    await ann.request("DELETE", f"/workspaces/{ann.workspace_id}/members/{bob.user_id}", status=204)
    await bob.request("GET", f"/reports/{path}", status=404, params=params)


async def test_who_left_keeps_what_they_did(ann, bob):
    """Their numbers stay in the past, and their open tasks with them until somebody takes those."""
    await ann.create(assignee_ids=[bob.user_id], status="completed")
    await ann.create(assignee_ids=[bob.user_id])
    await ann.request("DELETE", f"/workspaces/{ann.workspace_id}/members/{bob.user_id}", status=204)
    params = {"by": "person", "person_id": bob.user_id}
    (item,) = (await ann.request("GET", "/reports/throughput", status=200, params=params)).json()["items"]
    assert (item["person_id"], item["completed"], item["created"]) == (bob.user_id, 1, 0)
    (item,) = (await ann.request("GET", "/reports/workload", status=200)).json()["items"]
    assert (item["person_id"], item["open"]) == (bob.user_id, 1)


@pytest.mark.parametrize(
    "params",
    [
        {"from": "2026-02-30"},
        {"from": "2026-02-02", "to": "2026-02-01"},
        {"from": "2024-01-01", "to": "2025-01-01"},
        {"from": "1999-12-31", "to": "2000-01-01"},
        {"to": "2200-01-01"},
        {"time_zone": "Mars/Olympus"},
        {"by": "project"},
        {"person_id": "bob"},
        {"limit": "0"},
        {"since": "2026-01-01"},
    ],
)
async def test_what_makes_no_sense_is_refused(ann, params):
    """Each wrong parameter is named."""
    for path in ("throughput", "cycle-time", "overdue"):
        problem = (await ann.request("GET", f"/reports/{path}", status=422, params=params)).json()
        assert problem["errors"][0]["pointer"].startswith("?")


async def test_days_are_those_of_the_reader(ann, owner):
    """Without a zone, the one of the account; without days, the last 30 there."""
    await ann.request("PATCH", "/me", status=200, json={"time_zone": "Pacific/Kiritimati"})
    page = (await ann.request("GET", "/reports/throughput", status=200)).json()
    assert page["time_zone"] == "Pacific/Kiritimati"
    today = await owner.fetchval("SELECT (now() + interval '14 hours')::date")
    found = [item["day"] for item in page["items"]]
    assert found == [str(today - timedelta(days=ago)) for ago in range(29, -1, -1)]


async def test_a_day_that_never_was(ann):
    """A zone that leapt over the only day that is asked for has no item and no number."""
    params = {"from": "2011-12-30", "to": "2011-12-30", "time_zone": "Pacific/Apia"}
    await ann.create()
    for path in ("throughput", "cycle-time", "overdue"):
        page = (await ann.request("GET", f"/reports/{path}", status=200, params=params)).json()
        assert page["items"] == []


async def test_a_cursor_is_good_for_one_report(ann):
    """Pages joined are the whole; another report, range or zone refuses the cursor."""
    params = {"from": "2026-01-01", "to": "2026-01-07", "limit": 3, "time_zone": "UTC"}
    page = (await ann.request("GET", "/reports/throughput", status=200, params=params)).json()
    cursor = page["meta"]["next_cursor"]
    page = (await ann.request("GET", "/reports/throughput", status=200, params=params | {"cursor": cursor})).json()
    assert [item["day"] for item in page["items"]] == ["2026-01-04", "2026-01-05", "2026-01-06"]
    for path, other in (("cycle-time", {}), ("throughput", {"to": "2026-01-08"}), ("throughput", {"by": "person"})):
        answer = await ann.request("GET", f"/reports/{path}", status=400, params=params | other | {"cursor": cursor})
        assert answer.json()["code"] == "invalid_cursor"
