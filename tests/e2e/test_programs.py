"""A program of a team: a bot with a token, on the whole platform, from its first call to its end."""

import pytest

from taskbell.contract.frames import CloseCode
from taskbell.testing.listener import Listener
from taskbell.testing.waiting import eventually

pytestmark = [pytest.mark.xdist_group("platform"), pytest.mark.timeout(600)]


@pytest.mark.feature("M37")
async def test_a_bot_works_and_follows_until_it_is_deleted(platform):
    """It creates a task and hears of it by WebSocket, both by its token; its end ends the connection and the token."""
    ann = await platform.register("ann-automates@example.com")
    bots = f"/v1/workspaces/{ann.workspace_id}/bots"
    async with platform.client() as http:
        bot = (await http.post(bots, json={"name": "Deploy bot"}, headers=ann.headers)).raise_for_status().json()
        body = {"name": "Pipeline", "scopes": ["tasks:write", "events:read"]}
        made = await http.post(f"{bots}/{bot['id']}/tokens", json=body, headers=ann.headers)
        token = made.raise_for_status().json()["token"]
        headers = {"Authorization": f"Bearer {token}"}
        listener = Listener(platform.gateway_url, token=token, channels=[f"workspace:{ann.workspace_id}"])
        async with listener:
            assert listener.welcome["user_id"] == bot["id"]
            task = await http.post("/v1/tasks", json={"title": "Roll out"}, headers=headers)
            assert task.status_code == 201, task.text

            def heard():
                return [one.event for one in listener.events if one.event["type"] == "task.created"]

            await listener.until(lambda: bool(heard()), "the event")
            assert (heard()[0]["subject"], heard()[0]["actorid"]) == (task.json()["id"], bot["id"])
            feed = await http.get("/v1/events", headers=headers)
            assert task.json()["id"] in feed.text
            (await http.delete(f"{bots}/{bot['id']}", headers=ann.headers)).raise_for_status()
            assert await listener.until_closed() == CloseCode.SIGN_IN
            assert listener.frames[-1]["code"] == "token_ended"

        async def asked():
            return (await http.get("/v1/tasks", headers=headers)).status_code

        await eventually(asked, "the refusal", wanted=lambda status: status == 401)
        kept = await http.get(f"/v1/tasks/{task.json()['id']}", headers=ann.headers)
        assert kept.json()["created_by"] == bot["id"]
