"""`/v1/me/preferences`: the whole list is set and read, and what it comes to is what delivery decides."""

import asyncio

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskbell.contract.notices import Kind
from taskbell.kit.ids import new_id

PATH = "/v1/me/preferences"
CHANNELS = ("push", "email", "slack", "teams")


def preference(*, enabled, workspace_id=None, kind="*", channel="*"):
    """One item of the list."""
    return {"workspace_id": workspace_id, "kind": kind, "channel": channel, "enabled": enabled}


@pytest.mark.feature("P17", "T15")
async def test_the_whole_list_is_replaced(api, sign_up):
    """At first there are none. What is set is read back, replaces what was before, and is the user's own."""
    ann, ben = await sign_up(), await sign_up()
    assert (await api.get(PATH, headers=ann.headers)).json() == {"items": []}
    items = [
        preference(enabled=False, kind="stale"),
        preference(enabled=False, channel="slack", kind="assigned", workspace_id=ann.workspace_id),
    ]
    answer = await api.put(PATH, json={"items": items}, headers=ann.headers)
    assert (answer.status_code, answer.json()) == (200, {"items": items})
    assert (await api.get(PATH, headers=ann.headers)).json() == {"items": items}
    assert (await api.get(PATH, headers=ben.headers)).json() == {"items": []}
    short = {"items": [{"enabled": True}]}
    assert (await api.put(PATH, json=short, headers=ann.headers)).json() == {"items": [preference(enabled=True)]}
    assert (await api.put(PATH, json={"items": []}, headers=ann.headers)).json() == {"items": []}


@pytest.mark.feature("M33", "M35")
@pytest.mark.parametrize(
    ("items", "pointer"),
    [
        (None, "/items"),
        ([{}], "/items/0/enabled"),
        ([preference(enabled="yes")], "/items/0/enabled"),
        ([preference(enabled=True, kind="shouting")], "/items/0/kind"),
        ([preference(enabled=True, channel="fcm")], "/items/0/channel"),
        ([preference(enabled=True, channel="webhook")], "/items/0/channel"),
        ([preference(enabled=True, workspace_id="mine")], "/items/0/workspace_id"),
        ([preference(enabled=True), preference(enabled=False)], "/items"),
        ([preference(enabled=True) | {"colour": "red"}], "/items/0/colour"),
        (
            [preference(enabled=True), preference(enabled=True, workspace_id="00000000-0000-0000-0000-000000000000")],
            "/items/1/workspace_id",
        ),
    ],
)
async def test_bad_input_changes_nothing(api, sign_up, items, pointer):
    """Each fault is a 422 at its place, and the list stays as it was."""
    ann = await sign_up()
    kept = {"items": [preference(enabled=False, kind="digest")]}
    await api.put(PATH, json=kept, headers=ann.headers)
    answer = await api.put(PATH, json={"items": items}, headers=ann.headers)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert (await api.get(PATH, headers=ann.headers)).json() == kept


@pytest.mark.feature("M33", "M35")
async def test_only_workspaces_of_the_user(api, sign_up):
    """A foreign workspace and one that does not exist get the same answer, item by item."""
    ann, ben = await sign_up(), await sign_up()
    items = [
        preference(enabled=True, workspace_id=ben.workspace_id),
        preference(enabled=True, workspace_id=ann.workspace_id),
        preference(enabled=True, workspace_id=str(new_id())),
    ]
    answer = await api.put(PATH, json={"items": items}, headers=ann.headers)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [
        "/items/0/workspace_id",
        "/items/2/workspace_id",
    ]
    assert len({error["message"] for error in answer.json()["errors"]}) == 1
    for workspace in (ben.workspace_id, str(new_id())):
        answer = await api.get(f"{PATH}/effective", params={"workspace_id": workspace}, headers=ann.headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_what_is_left_of_a_workspace_that_one_left(api, sign_up, database):
    """Its preferences are not shown, so what was read can always be sent back."""
    ann = await sign_up()
    items = [preference(enabled=True), preference(enabled=False, workspace_id=ann.workspace_id)]
    await api.put(PATH, json={"items": items}, headers=ann.headers)
    connection = await asyncpg.connect(database.superuser_url)
    await connection.execute("DELETE FROM memberships WHERE user_id = $1", ann.user_id)
    await connection.close()
    found = (await api.get(PATH, headers=ann.headers)).json()
    assert found == {"items": items[:1]}
    assert (await api.put(PATH, json=found, headers=ann.headers)).status_code == 200


async def test_500_are_enough_and_more_are_refused(api, sign_up):
    """The bound holds at both sides."""
    ann = await sign_up()
    workspaces = [None, ann.workspace_id]
    for number in range(9):
        made = await api.post("/v1/workspaces", json={"name": f"W{number}"}, headers=ann.headers)
        workspaces.append(made.json()["id"])
    items = [
        preference(enabled=True, workspace_id=workspace, kind=kind, channel=channel)
        for workspace in workspaces
        for kind in ("*", *Kind)
        for channel in ("*", *CHANNELS)
    ]
    assert len(items) > 500
    assert (await api.put(PATH, json={"items": items[:500]}, headers=ann.headers)).status_code == 200
    assert len((await api.get(PATH, headers=ann.headers)).json()["items"]) == 500
    assert (await api.put(PATH, json={"items": items[:501]}, headers=ann.headers)).status_code == 422


async def test_replacements_at_once(api, sign_up):
    """Ten at once all succeed, and in the end one of them is there as a whole."""
    ann = await sign_up()
    lists = [
        {"items": [preference(enabled=number % 2 == 0, kind=kind) for kind in ("*", "assigned", "comment")]}
        for number in range(10)
    ]
    answers = await asyncio.gather(*(api.put(PATH, json=each, headers=ann.headers) for each in lists))
    assert {answer.status_code for answer in answers} == {200}
    found = (await api.get(PATH, headers=ann.headers)).json()
    assert len(found["items"]) == 3
    assert len({item["enabled"] for item in found["items"]}) == 1


@pytest.mark.feature("P17", "T15")
async def test_what_they_come_to(api, sign_up, database):
    """Push and chats by default, e-mail as its channel says; what reaches the user at present is told."""
    ann = await sign_up()
    effective = f"{PATH}/effective"

    async def told(**query):
        answer = await api.get(effective, params=query, headers=ann.headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    found = await told()
    assert (found["workspace_id"], found["ready"]) == (None, [])
    assert [(item["kind"], item["channel"]) for item in found["items"]] == [
        (kind, channel) for kind in Kind for channel in CHANNELS
    ]
    assert all(item["enabled"] for item in found["items"])
    device = {"kind": "fcm", "token": "the-token-of-a-phone"}
    assert (await api.post("/v1/devices", json=device, headers=ann.headers)).status_code == 201
    url = {"url": "https://hooks.slack.com/services/T/B/x"}
    assert (await api.put("/v1/me/channels/slack", json=url, headers=ann.headers)).status_code == 201
    connection = await asyncpg.connect(database.superuser_url)
    await connection.execute("UPDATE users SET email_confirmed_at = now() WHERE email = $1", ann.email)
    await connection.close()
    await api.put("/v1/me/channels/email", json={"enabled": True, "kinds": ["assigned"]}, headers=ann.headers)
    await api.put(
        PATH,
        json={
            "items": [
                preference(enabled=False, channel="push"),
                preference(enabled=True, channel="push", workspace_id=ann.workspace_id),
                preference(enabled=False, kind="stale"),
            ]
        },
        headers=ann.headers,
    )
    found = await told(workspace_id=ann.workspace_id)
    assert found["ready"] == ["push", "email", "slack"]
    on = {(item["kind"], item["channel"]) for item in found["items"] if item["enabled"]}
    assert {channel for kind, channel in on if kind == "assigned"} == {"push", "email", "slack", "teams"}
    assert {channel for kind, channel in on if kind == "comment"} == {"push", "slack", "teams"}
    # The workspace comes before the kind.
    assert {channel for kind, channel in on if kind == "stale"} == {"push"}
    on = {(item["kind"], item["channel"]) for item in (await told())["items"] if item["enabled"]}
    assert {channel for kind, channel in on if kind == "comment"} == {"slack", "teams"}
    assert {channel for kind, channel in on if kind == "stale"} == set()


_ITEM = st.builds(
    preference,
    enabled=st.booleans(),
    workspace_id=st.sampled_from([None, "own"]),
    kind=st.sampled_from(["*", "assigned", "comment"]),
    channel=st.sampled_from(["*", "push", "slack"]),
)


def _decide(items, *, workspace, kind, channel):
    """The rule as the reference states it: the workspace before the kind before the channel."""
    fitting = [
        item
        for item in items
        if item["workspace_id"] in {workspace, None}
        and item["kind"] in {kind, "*"}
        and item["channel"] in {channel, "*"}
    ]
    if not fitting:
        return True
    rank = max(fitting, key=lambda i: (i["workspace_id"] is not None, i["kind"] != "*", i["channel"] != "*"))
    return rank["enabled"]


@pytest.mark.feature("T15")
async def test_the_most_specific_one_decides(api, sign_up):
    """For any list, each decision is that of the most specific item."""
    ann = await sign_up()
    loop = asyncio.get_running_loop()

    @settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.lists(_ITEM, max_size=12, unique_by=lambda i: (i["workspace_id"], i["kind"], i["channel"])))
    def decides(items):
        items = [item | {"workspace_id": item["workspace_id"] and ann.workspace_id} for item in items]
        asyncio.run_coroutine_threadsafe(check(items), loop).result()

    async def check(items):
        assert (await api.put(PATH, json={"items": items}, headers=ann.headers)).status_code == 200
        for workspace in (ann.workspace_id, None):
            query = {"workspace_id": workspace} if workspace else {}
            found = (await api.get(f"{PATH}/effective", params=query, headers=ann.headers)).json()["items"]
            for item in found:
                if item["channel"] in {"push", "slack"} and item["kind"] in {"assigned", "comment", "stale"}:
                    wanted = _decide(items, workspace=workspace, kind=item["kind"], channel=item["channel"])
                    assert item["enabled"] is wanted, item

    await asyncio.to_thread(decides)
