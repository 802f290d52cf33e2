import asyncio
import os
import signal
import ssl
import uuid

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from joining import join
from taskbell.testing.follower import Follower
from taskbell.testing.listener import Listener
from taskbell.testing.waiting import eventually

pytestmark = [pytest.mark.xdist_group("platform"), pytest.mark.timeout(600), pytest.mark.feature("F16")]

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
ADVERTISED = {
    "api": {
        "taskbell_api_request_duration_seconds",
        "taskbell_api_requests_in_progress",
        "taskbell_api_database_connections",
        "taskbell_api_sign_ins",
        "taskbell_api_events_written",
    },
    "relay": {
        "taskbell_relay_events_published",
        "taskbell_relay_lag_seconds",
        "taskbell_relay_backlog_events",
        "taskbell_relay_lease_held",
        "taskbell_relay_stream_epoch",
        "taskbell_relay_interruptions",
        "taskbell_relay_reminders_oldest_overdue_seconds",
        "taskbell_relay_reminders_overdue",
        "taskbell_relay_reminders_lateness_seconds",
    },
    "gateway": {
        "taskbell_gateway_connections",
        "taskbell_gateway_event_frames",
        "taskbell_gateway_delivery_latency_seconds",
        "taskbell_gateway_reader_lag_events",
        "taskbell_gateway_closes",
        "taskbell_gateway_replays",
    },
}


async def created(http, title, **headers):
    """Create a task; return it."""
    return (await http.post("/v1/tasks", json={"title": title}, headers=headers)).raise_for_status().json()


async def arrived(listener, task):
    """Wait until a listener has heard of a task."""
    await eventually(lambda: any(item.event["subject"] == task["id"] for item in listener.events), task["title"])


@pytest.mark.feature("F2", "F3")
async def test_the_feed_and_the_websocket_tell_the_same_story(platform):
    """`GET /v1/events` gives the events and cursors of the WebSocket; a cursor of one serves the other."""
    account = await platform.register("feed@example.com")
    channel = f"workspace:{account.workspace_id}"
    async with platform.client(account=account) as http:
        start = (await http.get("/v1/events", params={"after": "latest"})).json()["meta"]["next_cursor"]
        async with Listener(platform.gateway_url, token=account.token, channels=[channel]) as listener:
            for number in range(12):
                task = await created(http, f"task {number}")
                await http.patch(f"/v1/tasks/{task['id']}", json={"title": "again", "status": "in_progress"})
            await listener.until_events(36)
            heard = [(item.cursor, item.event) for item in listener.events]
        read, after = [], start
        for _ in range(8):
            page = (await http.get("/v1/events", params={"after": after, "limit": 5})).raise_for_status().json()
            assert len(page["items"]) <= 5
            read += [(item["cursor"], item["event"]) for item in page["items"]]
            after = page["meta"]["next_cursor"]
        assert read == heard
        assert not page["meta"]["has_more"]
        middle = heard[17][0]
        async with Listener(platform.gateway_url, token=account.token, channels=[channel], cursor=middle) as later:
            assert later.welcome["resume"] == "ok"
            await later.until_events(18)
            assert [(item.cursor, item.event) for item in later.events] == heard[18:]


@pytest.mark.feature("T17", "P25")
async def test_everything_works_behind_a_proxy_that_ends_tls(proxy, certificate, monkeypatch):
    """By one https address: sign-in, changes, pages, the feed and the WebSocket; no answer names an address within."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with httpx.AsyncClient(base_url=f"https://{proxy}", verify=ssl.create_default_context()) as http:
        person = {"email": "tls@example.com", "password": "correct horse battery"}
        answers = [await http.post("/v1/auth/register", json={**person, "name": "T"})]
        answers.append(await http.post("/v1/auth/login", json=person))
        token = answers[-1].json()["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        async with Listener(f"wss://{proxy}/ws", token=token) as listener:
            answers.append(await http.post("/v1/tasks", json={"title": "told through TLS"}))
            await listener.until_events(1)
            assert listener.events[0].event["data"] == answers[-1].json()
        for path in ("/v1/tasks?limit=1", "/v1/events", "/v1/me", "/docs", "/v1/tasks/", "/livez"):
            answers.append(await http.get(path))  # noqa: PERF401 -- one after another, on one connection
    statuses = [answer.status_code for answer in answers]
    assert statuses == [201, 200, 201, 200, 200, 200, 200, 404, 200]
    assert [answer.url for answer in answers if "http://127.0.0.1" in f"{answer.headers}{answer.text}"] == []


async def test_cursors_of_elsewhere_are_refused(platform):
    """A cursor of another epoch is 410 with a link that works; a malformed one or one of the future is 400."""
    account = await platform.register("cursors@example.com")
    async with platform.client(account=account) as http:
        end = (await http.get("/v1/events", params={"after": "latest"})).json()["meta"]["next_cursor"]
        epoch, _, sequence = end.partition("-")
        expired = await http.get("/v1/events", params={"after": f"{int(epoch) + 1}-{sequence}"})
        assert expired.status_code == 410
        assert expired.headers["content-type"] == "application/problem+json"
        assert expired.json()["code"] == "cursor_expired"
        assert (await http.get(expired.links["latest"]["url"])).json()["items"] == []
        for wrong in ("nonsense", "1", "-1-2", "1-2-3", f"{epoch}-{int(sequence) + 10_000}", "0-0", "x" * 65):
            refused = await http.get("/v1/events", params={"after": wrong})
            assert refused.status_code in {400, 422}, wrong
            assert refused.json()["code"] in {"invalid_cursor", "validation_failed"}, wrong


async def test_a_trace_reaches_from_the_request_to_the_frame(platform, collector):
    """The traceparent of a request is in its event's frame; spans of api, relay and gateway are of that trace."""
    account = await platform.register("trace@example.com")
    async with (
        platform.client(account=account) as http,
        Listener(platform.gateway_url, token=account.token) as listener,
    ):
        answer = await http.post(
            "/v1/tasks", json={"title": "traced"}, headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
        )
        assert answer.headers["x-request-id"] == TRACE
        (received,) = await listener.until_events(1)
        version, trace_id, span_id, flags = received.event["traceparent"].split("-")
        assert (version, trace_id, flags) == ("00", TRACE, "01")

        names = {"POST", "transaction", "publish task.created", "gateway.deliver", "record"}
        await eventually(lambda: {span.name for span in collector.of_trace(TRACE)} == names, "spans of all")
        spans = {span.name: span for span in collector.of_trace(TRACE)}
        assert spans["POST"].parent_id == "00f067aa0ba902b7"
        assert spans["POST"].span_id == span_id
        assert spans["transaction"].parent_id == span_id
        assert spans["publish task.created"].parent_id == span_id
        assert spans["gateway.deliver"].parent_id == spans["publish task.created"].span_id
        assert spans["record"].parent_id == spans["publish task.created"].span_id
        await created(http, "not traced")
        await listener.until_events(2)
        assert listener.events[1].event["traceparent"].endswith("-00")
        assert {span.trace_id for span in collector.spans} == {TRACE}


@pytest.mark.parametrize(("part", "check"), [("nats", "nats"), ("postgres", "database")])
async def test_readiness_tells_the_truth(platform, part, check):
    """A store that is stopped shows in every readiness, by name, and in no liveness; it clears when it goes on."""
    names = {"api": check, "relay": check, "gateway": {"nats": "stream", "database": "memberships"}[check]}
    children = tree(platform.pid(part))
    for pid in children:
        os.kill(pid, signal.SIGSTOP)
    try:
        for service, name in names.items():

            async def said(service=service, name=name):
                status, body = await platform.readiness(service)
                return status, body.get("checks", {}).get(name)

            status, word = await eventually(  # None: not even an answer, which would be a failure, too
                said, f"{service} tells of {part}", wanted=lambda found: found[1] != "ok"
            )
            expected = 200 if (service, part) == ("api", "nats") else 503  # the API saves tasks without NATS
            assert (service, status, word) == (service, expected, word)
            async with platform.client(service) as http:
                assert (await http.get("/livez")).status_code == 200
    finally:
        for pid in reversed(children):
            os.kill(pid, signal.SIGCONT)
    for service in ("api", "relay", "relay-2", "gateway"):
        await platform.ready(service)


@pytest.mark.feature("K14")
async def test_metrics_can_be_read_and_are_named_as_advertised(platform):
    """Prometheus' own parser reads /metrics of each service; the names are there, with help, and move."""
    account = await platform.register("metrics@example.com")
    async with platform.client(account=account) as http, Listener(platform.gateway_url, token=account.token) as one:
        await created(http, "counted")
        await one.until_events(1)
        relay = await platform.active_relay()
        for service, names in ADVERTISED.items():
            async with platform.client(relay if service == "relay" else service) as probes:
                answer = await probes.get("/metrics")
            assert answer.headers["content-type"].startswith("text/plain")
            families = {family.name: family for family in text_string_to_metric_families(answer.text)}
            assert names <= set(families), names - set(families)
            own = [family for family in families.values() if family.name.startswith("taskbell_")]
            assert all(family.documentation for family in own)
            if service == "relay":
                assert families["taskbell_relay_events_published"].samples[0].value >= 1
            if service == "gateway":
                assert families["taskbell_gateway_connections"].samples[0].value == 1


@pytest.mark.feature("M33")
async def test_strangers_find_nothing(platform):
    """Every endpoint that takes an id answers 404 for one of another's; lists and the socket show nothing of it."""
    ann, bob = await platform.register("ann@example.com"), await platform.register("bob@example.com")
    async with platform.client(account=ann) as hers, platform.client(account=bob) as his:
        task, own = await created(hers, "hers"), await created(his, "his")
        path, space = f"/v1/tasks/{task['id']}", f"/v1/workspaces/{ann.workspace_id}"
        attempts = {
            "get": await his.get(path),
            "patch": await his.patch(path, json={"title": "taken"}),
            "put": await his.put(path, json={"title": "taken"}),
            "delete": await his.delete(path),
            "move": await his.post(f"{path}/move", json={"after": own["id"]}),
            "move next to": await his.post(f"/v1/tasks/{own['id']}/move", json={"after": task["id"]}),
            "create": await his.post("/v1/tasks", json={"title": "x", "workspace_id": ann.workspace_id}),
            "list": await his.get("/v1/tasks", params={"workspace_id": ann.workspace_id}),
            "feed": await his.get("/v1/events", params={"workspace_id": ann.workspace_id}),
            "workspace": await his.get(space),
            "members": await his.get(f"{space}/members"),
            "add": await his.post(f"{space}/members", json={"email": bob.email}),
            "remove": await his.delete(f"{space}/members/{ann.user_id}"),
        }
        nothing = await his.get(f"/v1/tasks/{uuid.uuid4()}")
        for name, answer in attempts.items():
            assert (name, answer.status_code, answer.json()["code"]) == (name, 404, "not_found")
            if name in {"get", "patch", "put", "delete", "move"}:
                assert answer.json()["detail"] == nothing.json()["detail"], name
        assert [found["id"] for found in (await his.get("/v1/tasks")).json()["items"]] == [own["id"]]
        assert [found["id"] for found in (await his.get("/v1/me/tasks")).json()["items"]] == [own["id"]]
        assert (await hers.get(path)).json() == task
        channel = f"workspace:{ann.workspace_id}"
        async with Listener(platform.gateway_url, token=bob.token, channels=[channel]) as listener:
            assert channel not in listener.welcome["channels"]
            reply = await listener.ask({"t": "subscribe", "channel": channel})
            assert (reply["ok"], reply["code"]) == (False, "forbidden")
            secret = await created(hers, "secret")
            mark = await created(his, "mark")
            await arrived(listener, mark)
            told = [item.event["subject"] for item in listener.events]
            # The event of his own first task may still have been on its way when the socket opened.
            assert secret["id"] not in told
            assert task["id"] not in told
            assert set(told) <= {own["id"], mark["id"]}


@pytest.mark.parametrize("role", ["viewer", "member"])
async def test_a_member_who_is_removed_hears_nothing_more(platform, role):
    """Neither by the workspace's channel nor by `me`, neither live nor by a resume; and the API shows nothing.

    The events of the setup may reach the follower or not; what counts is what follows the task `seen`.
    """
    ann = await platform.register(f"ann.{role}@example.com")
    bob = await platform.register(f"bob.{role}@example.com")
    async with platform.client(account=ann) as hers, platform.client(account=bob) as his:
        space = (await hers.post("/v1/workspaces", json={"name": "shared"})).raise_for_status().json()["id"]
        await join(hers, ann, bob, workspace_id=space, role=role)
        mine = None
        if role == "member":
            mine = (await his.post("/v1/tasks", json={"title": "bob's", "workspace_id": space})).json()
        channel = f"workspace:{space}"
        follower = Follower(platform.gateway_url, token=bob.token, channels=[channel])
        async with follower.following():
            seen = (await hers.post("/v1/tasks", json={"title": "seen", "workspace_id": space})).json()
            await arrived(follower, seen)
            before = follower.cursor
            (await hers.delete(f"/v1/workspaces/{space}/members/{bob.user_id}")).raise_for_status()
            for task in filter(None, (seen, mine)):
                (await hers.patch(f"/v1/tasks/{task['id']}", json={"title": "changed after"})).raise_for_status()
            await hers.post("/v1/tasks", json={"title": "secret", "workspace_id": space})
            mark = await created(his, "mark")
            await arrived(follower, mark)
            told = [(item.event["type"], item.event["subject"]) for item in follower.events]
            after = told[told.index(("task.created", seen["id"])) + 1 :]
            assert [one for one in after if one[0] != "member.removed"] == [("task.created", mark["id"])]
            ended = [frame for frame in follower.frames if frame["t"] == "error"]
            assert [(frame["code"], frame["channel"]) for frame in ended] == [("forbidden", channel)]
        async with Listener(platform.gateway_url, token=bob.token, channels=[channel], cursor=before) as again:
            assert channel not in again.welcome["channels"]
            last = await created(his, "last")
            await arrived(again, last)
            subjects = {item.event["subject"] for item in again.events if item.event["type"].startswith("task.")}
            assert subjects == {mark["id"], last["id"]}
        for task in filter(None, (seen, mine)):
            assert (await his.get(f"/v1/tasks/{task['id']}")).status_code == 404
        assert (await his.get("/v1/events", params={"workspace_id": space})).status_code == 404
        titles = {task["title"] for task in (await his.get("/v1/me/tasks")).json()["items"]}
        assert titles == {"mark", "last"}


@pytest.mark.feature("T10")
async def test_200_concurrent_moves_to_one_spot_all_succeed(platform):
    """No error, no equal positions, every task in between, and as many events as moves that changed something."""
    account = await platform.register("moves@example.com")
    async with platform.client(account=account, timeout=60) as http:
        first, last = await created(http, "first"), await created(http, "last")
        tasks = [(await created(http, f"task {number}"))["id"] for number in range(40)]

        async def move(number):
            side, anchor = (("after", first), ("before", last))[number % 2]
            return await http.post(f"/v1/tasks/{tasks[number % 40]}/move", json={side: anchor["id"]})

        answers = await asyncio.gather(*(move(number) for number in range(200)))
        assert {answer.status_code for answer in answers} == {200}
        listed = (await http.get("/v1/tasks", params={"limit": 1000})).json()["items"]
        positions = [task["position"] for task in listed]
        assert positions == sorted(set(positions))
        order = [task["id"] for task in listed]
        assert order[0] == first["id"]
        assert order[-1] == last["id"]
        assert set(order[1:-1]) == set(tasks)


def tree(pid):
    """A process and everything it started, parents first."""
    found = psutil.Process(pid)
    return [found.pid, *(child.pid for child in found.children(recursive=True))]
