"""Crowds: a storm of listeners that come back, many that are idle, and one that reads nothing.

`TASKBELL_TEST_CROWD` sets how many connections there are (default 200), and each test prints what it measured (`-s`).
`loadtests/crowd.py` measures a crowd on the whole platform.
"""

import asyncio
import os
import socket
import sys
import time
from pathlib import Path

import asyncpg
import orjson
import psutil
import pytest

from gateway_processes import connected
from lean_listener import dial, handshake
from taskbell.kit.ids import new_id
from taskbell.testing.listener import Listener
from taskbell.testing.waiting import eventually

CROWD = int(os.environ.get("TASKBELL_TEST_CROWD", "200"))
PER_USER = 50
MISSED = 20
BARE = """
import asyncio, socket, sys
from websockets.asyncio.server import serve
async def main():
    async def handle(connection):
        await connection.wait_closed()
    own = socket.socket(fileno=int(sys.argv[1]))
    async with serve(handle, sock=own, compression=None, ping_interval=None, backlog=4096):
        await asyncio.Future()
import uvloop
uvloop.run(main())
"""


def resident(pid):
    """The resident memory of a process in bytes."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) * 1024


async def crowd_of_users(people, database, workspace, number):
    """Make members of a workspace; return their tokens."""
    users = [new_id() for _ in range(number)]
    connection = await asyncpg.connect(database.superuser_url)
    await connection.executemany(
        "INSERT INTO users (id, email, name, personal_workspace_id) VALUES ($1, $2, 'u', $1)",
        [(user, f"{user}@x") for user in users],
    )
    await connection.execute("INSERT INTO workspaces (id, name, created_by) VALUES ($1, 'w', $2)", workspace, users[0])
    await connection.executemany(
        "INSERT INTO memberships (user_id, workspace_id, role) VALUES ($1, $2, 'member')",
        [(user, workspace) for user in users],
    )
    await connection.close()
    return [people.token(user) for user in users]


async def serving(gateways, people):
    """Wait until gateways serve."""
    for gateway in gateways:
        probe = Listener(gateway.url, token=people.token(await people.user()))
        await connected(probe)
        await probe.close()


@pytest.mark.feature("K3", "F4", "M20")
@pytest.mark.timeout(600)
async def test_a_storm_of_listeners_resumes_exactly(start_gateway, people, database, stream):
    """All come back at once to two gateways, and each gets what it missed, in order, each once; nobody gets a gap."""
    workspace = new_id()
    tokens = await crowd_of_users(people, database, workspace, -(-CROWD // PER_USER))
    await stream.publish_many(workspace, range(MISSED + 5))
    gateways = [start_gateway() for _ in range(2)]
    await serving(gateways, people)
    query = f"?channels=workspace:{workspace}&resume=1-5"
    requests = [handshake(tokens[place // PER_USER], query) for place in range(CROWD)]
    begun = time.monotonic()
    clients = await dial([one.port for one in gateways], requests, lambda client: len(client.texts) > MISSED)
    took = time.monotonic() - begun
    busy = sum(sum(psutil.Process(one.child.pid).cpu_times()[:2]) for one in gateways)
    for client in clients:
        welcome = orjson.loads(client.texts[0])
        assert (welcome["t"], welcome["resume"]) == ("welcome", "ok")
        assert [event["cursor"] for event in client.events()] == [f"1-{place}" for place in range(6, MISSED + 6)]
    await stream.publish(workspace, number=99)
    await eventually(lambda: all(len(client.events()) == MISSED + 1 for client in clients), within=300)
    sys.stdout.write(f"\nstorm: {CROWD} listeners resumed {MISSED} events each in {took:.1f} s, {busy:.1f} s of CPU\n")
    for client in clients:
        client.close()


@pytest.mark.feature("M20")
@pytest.mark.timeout(600)
async def test_an_idle_connection_takes_little_memory(start_gateway, people, database, stream, memory_of):
    """Next to the bare library with as many connections in the same run, each takes 25 KiB more at most."""
    memory_of("gateway")
    tokens = await crowd_of_users(people, database, new_id(), -(-CROWD // PER_USER))
    gateway = start_gateway()
    await serving([gateway], people)
    own = socket.create_server(("127.0.0.1", 0), backlog=4096)
    bare = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", BARE, str(own.fileno())), pass_fds=[own.fileno()]
    )
    try:
        port = own.getsockname()[1]
        (warm,) = await dial([port], [handshake("")], lambda client: client.upgraded)
        each = {}
        for name, pid, ports, enough in (
            ("bare", bare.pid, [port], lambda client: client.upgraded),
            ("gateway", gateway.child.pid, [gateway.port], lambda client: bool(client.texts)),
        ):
            requests = [
                handshake("" if name == "bare" else tokens[place // PER_USER], "?channels=") for place in range(CROWD)
            ]
            before = resident(pid)
            clients = await dial(ports, requests, enough)
            await asyncio.sleep(1)  # what the handshakes took is given back, or not
            each[name] = (resident(pid) - before) / CROWD / 1024
            for client in clients:
                client.close()
        warm.close()
        sys.stdout.write(
            f"\nidle: {CROWD} connections: gateway {each['gateway']:.1f} KiB each, bare {each['bare']:.1f} KiB each\n"
        )
        assert each["gateway"] - each["bare"] <= 25 + 4096 / CROWD  # its buffers and caches grow at first
    finally:
        bare.kill()
        await bare.wait()
        own.close()


@pytest.mark.feature("F4")
@pytest.mark.timeout(600)
async def test_who_reads_nothing_costs_a_bounded_queue_and_slows_nobody(
    start_gateway, people, database, stream, memory_of
):
    """However long: its queue has a bound, and another client gets each event before the next one is published."""
    memory_of("gateway")
    workspace = new_id()
    user, other = await people.user(workspaces=[workspace]), await people.user(workspaces=[workspace])
    gateway = start_gateway()
    channels = [f"workspace:{workspace}"]
    idle = Listener(gateway.url, token=people.token(user), channels=channels)
    quick = Listener(gateway.url, token=people.token(other), channels=channels)
    await connected(idle)
    await connected(quick)
    idle.stop_reading()
    seconds = 60.0 if CROWD > 1000 else 2.0
    tasks, number, late, peak = [new_id() for _ in range(100)], 0, [], 0
    before, begun = resident(gateway.child.pid), time.monotonic()
    while time.monotonic() - begun < seconds or number < 400:
        at = time.monotonic()
        await stream.publish(
            workspace, number=number, subject=tasks[number % 100], event_type="task.updated", pad="x" * 20_000
        )
        number += 1
        await quick.until_events(number)
        late.append(time.monotonic() - at)
        peak = max(peak, resident(gateway.child.pid) - before)
    late.sort()
    recent = 32 + 4 + 2  # MiB: the events that the gateway remembers anyway, its largest queue, the socket's buffers
    sys.stdout.write(
        f"\nslow: {number} events in {time.monotonic() - begun:.0f} s next to a client that reads nothing: "
        f"p99 {late[int(len(late) * 0.99)] * 1000:.0f} ms, memory + {peak / 2**20:.0f} MiB\n"
    )
    assert peak < 3 * recent * 2**20
    for one in (idle, quick):
        await one.kill()
