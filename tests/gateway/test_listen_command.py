"""`taskbell listen` against a real gateway."""

import asyncio
import contextlib
import json
import os
import sys
import time

import httpx
import pytest

from taskbell.client.connection import Frame
from taskbell.client.following import Ended
from taskbell.kit.ids import new_id
from taskbell.local.listening import SignIn, SignInRefused, following, websocket_address
from taskbell.terminal.events import describe, remark


async def next_of(found, kind):
    """Take from a client until a frame of this kind comes; return it and what came before."""
    before = []
    async for one in found:
        if not isinstance(one, Ended) and one.kind == kind:
            return one, before
        before.append(one)
    raise AssertionError("the client ended")


async def test_the_command_prints_events_as_json_lines(run_gateway, people, stream, tmp_path):
    """With --token, --url, --workspace, --cursor and --count it prints what happened, and ends."""
    workspace = new_id()
    user = await people.user(workspaces=[workspace])
    await stream.publish_many(workspace, range(3))
    async with run_gateway() as running:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "taskbell.local", "listen", "--json", "--count", "3", "--cursor", "1-0"),
            *("--url", f"ws://127.0.0.1:{running.port}", "--workspace", str(workspace)),
            env={**os.environ, "TASKBELL_LISTEN_TOKEN": people.token(user), "TASKBELL_DATA_DIR": str(tmp_path)},
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await child.communicate()
    assert child.returncode == 0
    lines = [json.loads(line) for line in output.splitlines()]
    assert [line["event"]["data"]["number"] for line in lines] == [0, 1, 2]
    assert [line["cursor"] for line in lines] == ["1-1", "1-2", "1-3"]


async def test_without_a_platform_the_command_says_what_it_needs(tmp_path):
    """One line and status 2."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "taskbell.local", "listen"),
        env={**os.environ, "TASKBELL_DATA_DIR": str(tmp_path)},
        stderr=asyncio.subprocess.PIPE,
    )
    _, complaint = await child.communicate()
    assert child.returncode == 2
    assert complaint.decode().count("\n") == 1


async def test_it_comes_back_with_its_cursor(run_gateway, people, stream, free_port):
    """A gateway that goes and another one in its place cost a pause and nothing else."""
    workspace = new_id()
    user = await people.user(workspaces=[workspace])
    sign_in = SignIn("", "", "", people.token(user))
    async with (
        httpx.AsyncClient() as client,
        contextlib.aclosing(following(f"ws://127.0.0.1:{free_port}/ws", sign_in, client=client)) as found,
    ):
        async with run_gateway(port=free_port):
            await next_of(found, "welcome")
            await stream.publish(workspace, number=1, audience=[user])
            await next_of(found, "event")
        await stream.publish(workspace, number=2, audience=[user])
        async with run_gateway(port=free_port):
            event, before = await next_of(found, "event")
    assert event.fields["event"]["data"]["number"] == 2
    assert any(isinstance(one, Ended) for one in before)


async def test_a_token_that_is_refused_ends_it(run_gateway, people):
    """A given token that the gateway refuses is not tried again."""
    async with run_gateway() as running, httpx.AsyncClient() as client:
        sign_in = SignIn("", "", "", "nonsense")
        found = following(f"ws://127.0.0.1:{running.port}/ws", sign_in, client=client)
        with pytest.raises(SignInRefused):
            await next_of(found, "event")


def test_a_remark_tells_what_happened_to_the_connection():
    """A gap, an ended subscription and a pause are reported; an event and a ping are not."""

    def told(**fields):
        return remark(Frame("", fields))

    assert told(t="welcome", cursor="1-2", channels=["me"], resume="new") == "listening from 1-2 to me"
    assert "GAP" in told(t="welcome", cursor="1-2", channels=["me"], resume="gap")
    assert told(t="error", code="forbidden", channel="workspace:x", message="no") == "forbidden (workspace:x): no"
    assert remark(Ended("closed (4200)", 4200, 0.5)) == "closed (4200); again in 0.5 s"
    assert told(t="ping") is None


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("ws://h:1", "ws://h:1/ws"),
        ("https://h/", "wss://h/ws"),
        ("http://h:1/ws", "ws://h:1/ws"),
        ("wss://h/realtime/ws", "wss://h/realtime/ws"),
    ],
)
def test_a_base_address_is_completed(given, address):
    """Base or whole address, HTTP's scheme or WebSocket's."""
    assert websocket_address(given) == address


def test_an_event_is_one_line(monkeypatch):
    """Time on the local clock, type, title and what changed; nothing in it controls the terminal."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    event = {
        "type": "task.updated",
        "time": "2026-11-20T21:00:00.000000Z",
        "data": {
            "title": "Buy\x1b milk",
            "priority": 2,
            "previous": {"priority": 5},
            "omitted": ["/previous/description"],
        },
    }
    told = "2026-11-21 06:00:00  task.updated          Buy\ufffd milk  priority: 5 -> 2, description: changed"
    assert describe(event) == told
    assert describe({}).strip().startswith("?")
    monkeypatch.undo()
    time.tzset()
