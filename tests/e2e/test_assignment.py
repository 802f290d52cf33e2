"""From an assignment to all who must hear of it: the inbox, the WebSocket, the phone and the mailbox, in one trace."""

import contextlib
import re
import ssl

import httpx
import pytest

from joining import join
from taskbell.local.commands.devices import registration
from taskbell.local.data_dir import DataDir
from taskbell.local.push import read_simulator
from taskbell.testing.listener import Listener
from taskbell.testing.waiting import eventually

pytestmark = [pytest.mark.xdist_group("platform"), pytest.mark.timeout(600), pytest.mark.feature("P24")]

TRACE = "0af7651916cd43dd8448eb211c80319c"


@contextlib.asynccontextmanager
async def simulated_devices(platform):
    """A client of the push simulator's own side."""
    simulator = read_simulator(DataDir(platform.data).pushsim)
    trust = ssl.create_default_context(cafile=simulator["ca_file"])
    options = {"verify": trust, "http1": False, "http2": True, "trust_env": False, "timeout": 20}
    async with httpx.AsyncClient(base_url=simulator["url"], **options) as client:
        yield client


async def wants_email(http, mailroom, person):
    """Confirm the address of a user as the user does, and switch e-mail on."""
    (await http.post("/v1/me/email/confirmation", headers=person.headers)).raise_for_status()
    (text,) = await eventually(lambda: mailroom.texts_to(person.email), "the code")
    token = re.search(r"^[\w.-]{20,}\r?$", text, re.MULTILINE)[0].strip()
    (await http.post("/v1/me/email/confirm", json={"token": token}, headers=person.headers)).raise_for_status()
    (await http.put("/v1/me/channels/email", json={"enabled": True}, headers=person.headers)).raise_for_status()


async def phone_of(http, simulator, person):
    """A simulated phone that the user has registered; returns its address."""
    (made,) = (await simulator.post("/control/devices", json={"provider": "fcm"})).raise_for_status().json()["devices"]
    (await http.post("/v1/devices", json=registration(made), headers=person.headers)).raise_for_status()
    return made["address"]


@pytest.mark.feature("K13", "P17", "T11")
async def test_an_assignment_reaches_socket_phone_and_mailbox_in_one_trace(platform, collector, mailroom):
    """One request tells the new assignee everywhere; reading it takes it off the phone; all of it is one trace."""
    ann, ben = [await platform.register(f"{name}-assigns@example.com") for name in ("ann", "ben")]
    async with platform.client() as http, simulated_devices(platform) as simulator:
        await join(http, ann, ben, workspace_id=ann.workspace_id)
        await wants_email(http, mailroom, ben)
        phone = await phone_of(http, simulator, ben)

        async def shown():
            return (await simulator.get("/control/screens", params={"address": phone})).json()

        async with Listener(platform.gateway_url, token=ben.token) as listener:
            answer = await http.post(
                "/v1/tasks",
                json={"title": "Water the plants", "workspace_id": ann.workspace_id, "assignee_ids": [ben.user_id]},
                headers={**ann.headers, "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"},
            )
            assert answer.status_code == 201, answer.text

            def notified():
                return [one.event for one in listener.events if one.event["type"] == "notification.created"]

            await listener.until(lambda: bool(notified()), "the frame")
            (event,) = notified()
        notice = (await http.get("/v1/notifications", headers=ben.headers)).json()["items"][0]
        assert notice == event["data"]
        assert (notice["kind"], notice["task_id"]) == ("assigned", answer.json()["id"])

        await eventually(lambda: len(mailroom.texts_to(ben.email)) == 2, "the e-mail")
        assert "Water the plants" in mailroom.texts_to(ben.email)[1]
        await eventually(shown, "the alert", wanted=lambda found: "Water the plants" in str(found))
        read = await http.patch(f"/v1/notifications/{notice['id']}", json={"read": True}, headers=ben.headers)
        assert read.status_code == 200, read.text
        await eventually(shown, "the phone without it", wanted=lambda found: "Water the plants" not in str(found))

    def chains():
        """Each attempt's span with those above it, as far as programs have sent them."""
        spans = {span.span_id: span for span in collector.of_trace(TRACE)}
        for push in [span for span in spans.values() if span.name == "push"]:
            chain = [push]
            while chain[-1].parent_id in spans:
                chain.append(spans[chain[-1].parent_id])
            yield chain

    def all_sent():
        found = list(chains())
        channels = {chain[0].attributes["taskbell.channel"] for chain in found}
        return channels == {"fcm", "email"} and all(chain[-1].name == "POST" for chain in found)

    await eventually(all_sent, "the spans")
    for chain in chains():
        assert [span.name for span in chain] == ["push", "record", "publish notification.created", "POST"]
        record = chain[1]
        assert (record.attributes["taskbell.kind"], record.attributes["taskbell.alerts"]) == ("assigned", 2)
    below = {"transaction", "gateway.deliver"}
    await eventually(lambda: below <= {span.name for span in collector.of_trace(TRACE)}, "the other spans")
