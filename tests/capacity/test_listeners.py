import asyncio
import contextlib
import json

from websockets.asyncio.server import serve

from taskbell.capacity.briefing import Account
from taskbell.capacity.conservation import conserve
from taskbell.capacity.evidence import EventRow, Evidence, FeedItem, Heard, Promised, TaskRow
from taskbell.capacity.listeners import Heard as Ear
from taskbell.capacity.listeners import Listener
from taskbell.contract.cursors import EventCursor


def _event(number: int, *, workspace: str = "garden") -> str:
    event = {"id": f"event-{number}", "type": "task.created", "time": "2026-11-21T08:00:00Z", "workspaceid": workspace}
    return json.dumps({"t": "event", "cursor": f"1-{number}", "event": event})


async def test_a_gateway_that_drops_and_repeats_frames_is_found_out():
    """Of four events one never comes and one comes twice, over a connection that breaks: one is lost, one is double.

    Events of another workspace, such as an invitation to it, do not count.
    """
    script = iter([[1, 2, 2], [4]])
    hellos, came_back = [], asyncio.Event()

    async def gateway(connection):
        hellos.append(json.loads(await connection.recv()))
        await connection.send(json.dumps({"t": "welcome", "cursor": hellos[-1].get("resume", "1-0"), "resume": "ok"}))
        for number in next(script, []):
            await connection.send(_event(100 + number, workspace="elsewhere"))
            await connection.send(_event(number))
        if len(hellos) == 3:
            came_back.set()

    async with serve(gateway, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws"
        ear = Ear()
        listener = Listener(Account("mate", "token", "garden", "owner", "mate@example.com"), url=url, heard=ear)
        listening = asyncio.create_task(listener.listen(asyncio.Semaphore(1)))
        await came_back.wait()
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening
    assert [hello.get("resume") for hello in hellos[:2]] == [None, "1-2"]
    ids = list(ear.numbers)
    world = Evidence(
        promised=Promised(attempted=set(), created={}),
        members={"mate": "garden"},
        rows=[TaskRow(f"task-{n}", f"title-{n}", 1) for n in range(1, 5)],
        notices=[],
        event_rows=[
            EventRow(id=f"event-{n}", type="task.created", subject=f"task-{n}", workspace="garden", version=1)
            for n in range(1, 5)
        ],
        feeds={"mate": [FeedItem(EventCursor(1, n), f"event-{n}") for n in range(1, 5)]},
        heard=[Heard("mate", EventCursor.parse(listener.joined), [ids[n] for n in listener.events])],
    )
    found = conserve(world)
    assert (found.lost, found.double) == (1, 1)
    assert found.places[-1].examples == ["listener 1, lost: event-3", "listener 1, double: event-2"]
