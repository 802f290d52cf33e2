"""`/v1/webhooks`: who may make them, what they hold, and their delivery log."""

import asyncio
from collections import Counter

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from joining import join
from taskbell.api.deliveries.policy import MOST_WEBHOOKS, url_fault

URL = "https://hooks.example.com/taskbell"


@pytest.fixture
def make(api):
    """Makes a webhook and returns it."""

    async def create(account, **body):
        answer = await api.post("/v1/webhooks", json={"url": URL, **body}, headers=account.headers)
        assert answer.status_code == 201, answer.text
        return answer.json()

    return create


@pytest.mark.feature("M71")
async def test_a_secret_is_shown_once(api, sign_up, make):
    """The answer to creation and to a rotation holds the secret; no other answer does."""
    ann = await sign_up()
    made = await make(ann, event_types=["task.created"])
    assert made["secret"].startswith("whsec_")
    assert made["workspace_id"] == ann.workspace_id
    assert (made["event_types"], made["enabled"], made["disabled_reason"]) == (["task.created"], True, None)
    path = f"/v1/webhooks/{made['id']}"
    for read in (await api.get(path, headers=ann.headers), await api.get("/v1/webhooks", headers=ann.headers)):
        assert read.status_code == 200
        assert "whsec_" not in read.text
    rotated = (await api.post(f"{path}/rotate-secret", headers=ann.headers)).json()
    assert rotated["secret"] != made["secret"]
    assert rotated["previous_secret_expires_at"] is not None


async def test_change_and_delete(api, sign_up, make):
    """What is left out stays; a deleted webhook is gone."""
    ann = await sign_up()
    made = await make(ann)
    path = f"/v1/webhooks/{made['id']}"
    changed = (await api.patch(path, json={"enabled": False}, headers=ann.headers)).json()
    assert (changed["enabled"], changed["url"], changed["event_types"]) == (False, URL, ["*"])
    changed = (await api.patch(path, json={"url": URL + "/2"}, headers=ann.headers)).json()
    assert (changed["enabled"], changed["url"]) == (False, URL + "/2")
    assert (await api.delete(path, headers=ann.headers)).status_code == 204
    assert (await api.get(path, headers=ann.headers)).status_code == 404
    assert (await api.delete(path, headers=ann.headers)).status_code == 404


async def test_only_administrators(api, sign_up, make):
    """A member is refused with 403, a stranger with 404; neither sees a webhook by its id, nor its deliveries."""
    ann, ben, eve = await sign_up(), await sign_up(), await sign_up()
    garden = (await api.post("/v1/workspaces", json={"name": "Garden"}, headers=ann.headers)).json()["id"]
    await join(api, ann, ben, workspace_id=garden)
    made = await make(ann, workspace_id=garden)
    for account, status in ((ben, 403), (eve, 404)):
        body = {"url": URL, "workspace_id": garden}
        assert (await api.post("/v1/webhooks", json=body, headers=account.headers)).status_code == status
        listed = await api.get("/v1/webhooks", params={"workspace_id": garden}, headers=account.headers)
        assert listed.status_code == status
        path = f"/v1/webhooks/{made['id']}"
        for answer in (
            await api.get(path, headers=account.headers),
            await api.patch(path, json={"enabled": False}, headers=account.headers),
            await api.delete(path, headers=account.headers),
            await api.post(f"{path}/rotate-secret", headers=account.headers),
            await api.post(f"{path}/test", headers=account.headers),
            await api.get(f"{path}/deliveries", headers=account.headers),
        ):
            assert answer.status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"url": "http://hooks.example.com/"},
        {"url": "https://user:pass@hooks.example.com/"},
        {"url": "https:///nothing"},
        {"url": "ftp://hooks.example.com/"},
        {"url": "https://hooks.example.com/#part"},
        {"url": "https://hooks.example.com:99999/"},
        {"url": "https://[::1/"},
        {"url": "https://hooks.example.com/\r\nX: y"},
        {"url": "https://hooks.example.com/" + "x" * 2048},
        {"url": URL, "event_types": []},
        {"url": URL, "event_types": ["notification.created"]},
        {"url": URL, "event_types": ["task.invented"]},
        {"url": URL, "secret": "mine"},
    ],
)
async def test_bad_input(api, sign_up, body):
    """What cannot be a webhook is refused with a problem that names the field; a personal type is no webhook's."""
    ann = await sign_up()
    answer = await api.post("/v1/webhooks", json=body, headers=ann.headers)
    assert answer.status_code == 422
    assert answer.json()["errors"]


async def test_a_workspace_has_a_bounded_number(api, sign_up, make):
    """One event is not multiplied without end."""
    ann = await sign_up()
    for _ in range(MOST_WEBHOOKS):
        await make(ann)
    answer = await api.post("/v1/webhooks", json={"url": URL}, headers=ann.headers)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    page = (await api.get("/v1/webhooks", params={"limit": 15}, headers=ann.headers)).json()
    rest = (
        await api.get("/v1/webhooks", params={"limit": 15, "cursor": page["meta"]["next_cursor"]}, headers=ann.headers)
    ).json()
    assert len({item["id"] for item in page["items"] + rest["items"]}) == MOST_WEBHOOKS
    assert not rest["meta"]["has_more"]


async def test_many_at_once_are_bounded_too(api, sign_up):
    """Those who come at the same moment count each other."""
    ann = await sign_up()
    answers = await asyncio.gather(
        *(api.post("/v1/webhooks", json={"url": URL}, headers=ann.headers) for _ in range(MOST_WEBHOOKS + 8))
    )
    assert Counter(answer.status_code for answer in answers) == {201: MOST_WEBHOOKS, 409: 8}


async def test_test_log_and_redelivery(api, sign_up, make, database):
    """A test is a line of the log; a dead one is sent again with the same event id; a disabled webhook refuses."""
    ann = await sign_up()
    made = await make(ann)
    path = f"/v1/webhooks/{made['id']}"
    sent = await api.post(f"{path}/test", headers=ann.headers)
    assert sent.status_code == 201
    line = sent.json()
    assert (line["event_type"], line["state"], line["attempts"]) == ("webhook.test", "pending", 0)
    connection = await asyncpg.connect(database.superuser_url)
    await connection.execute("UPDATE deliveries SET state = 'dead', attempts = 9, error = 'answered 500'")
    log = (await api.get(f"{path}/deliveries", params={"state": "dead"}, headers=ann.headers)).json()
    assert [(item["id"], item["next_attempt_at"]) for item in log["items"]] == [(line["id"], None)]
    assert (await api.get(f"{path}/deliveries", params={"state": "delivered"}, headers=ann.headers)).json()[
        "items"
    ] == []
    again = await api.post(f"{path}/deliveries/{line['id']}/redeliver", headers=ann.headers)
    assert again.status_code == 200
    assert (again.json()["state"], again.json()["attempts"]) == ("pending", 0)
    assert again.json()["event_id"] == line["event_id"]
    missing = await api.post(f"{path}/deliveries/{made['id']}/redeliver", headers=ann.headers)
    assert missing.status_code == 404
    await connection.execute("UPDATE deliveries SET payload = NULL")
    await connection.close()
    expired = await api.post(f"{path}/deliveries/{line['id']}/redeliver", headers=ann.headers)
    assert (expired.status_code, "not kept" in expired.json()["detail"]) == (409, True)
    await api.patch(path, json={"enabled": False}, headers=ann.headers)
    assert (await api.post(f"{path}/test", headers=ann.headers)).status_code == 409


@given(st.text(max_size=60) | st.builds("https://{}".format, st.text(max_size=40)))
def test_a_url_that_passes_is_one(url):
    """Whatever is sent, nothing raises, and what passes is ASCII, encrypted and names no user."""
    if url_fault(url, allow_http=False) is None:
        assert url.lower().startswith("https://")
        assert url.isascii()
        assert "@" not in url.split("/")[2]
