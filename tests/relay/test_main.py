"""The relay as a process: its socket, its probes, its settings."""

import asyncio
import os
import signal
import socket
import sys

import httpx
import pytest

from taskbell.relay.command import main
from taskbell.testing.waiting import eventually


def command(*arguments, environment, fds=()):
    """Start the relay's process."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TASKBELL_")}
    return asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "taskbell.relay", *arguments),
        env={**kept, **environment},
        pass_fds=fds,
        stderr=asyncio.subprocess.PIPE,
    )


@pytest.mark.feature("M30")
async def test_it_serves_its_probes_on_an_inherited_socket_and_ends_cleanly(database, nats_url):
    """`--fd` takes a listening socket over; SIGTERM ends with status 0."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        descriptor = listening.fileno()
        environment = {"TASKBELL_DATABASE_URL": database.relay_url, "TASKBELL_NATS_URL": nats_url}
        process = await command("--fd", str(descriptor), environment=environment, fds=(descriptor,))
    async with httpx.AsyncClient(base_url=address) as client:

        async def ready():
            try:
                return (await client.get("/readyz")).status_code == 200
            except httpx.TransportError:
                return False

        await eventually(ready)
        assert (await client.get("/livez")).text == "ok"
        assert (await client.get("/readyz")).json() == {"ok": True, "checks": {"database": "ok", "nats": "ok"}}
        assert "taskbell_relay_lag_seconds" in (await client.get("/metrics")).text
    process.send_signal(signal.SIGTERM)
    await process.communicate()
    assert process.returncode == 0


@pytest.mark.feature("M29")
@pytest.mark.parametrize(("level", "told"), [("INFO", True), ("WARNING", False)])
async def test_the_level_of_the_log_is_a_setting(database, nats_url, free_port, level, told):
    """What is less severe than the level that was set is not written."""
    environment = {"DATABASE_URL": database.relay_url, "NATS_URL": nats_url, "LOG_LEVEL": level}
    process = await command(
        *("--host", "127.0.0.1", "--port", str(free_port)),
        environment={f"TASKBELL_{name}": value for name, value in environment.items()},
    )
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{free_port}") as client:

        async def active():
            try:
                return "taskbell_relay_lease_held 1.0" in (await client.get("/metrics")).text
            except httpx.TransportError:
                return False

        await eventually(active)
    process.send_signal(signal.SIGTERM)
    _, log = await process.communicate()
    assert (b"lease_taken" in log) is told


async def test_without_database_and_nats_it_lives_but_is_not_ready(free_port):
    """Away is no reason to die; both are named; the end is clean all the same."""
    environment = {
        "TASKBELL_DATABASE_URL": f"postgresql://nobody@127.0.0.1:{free_port}/nothing",
        "TASKBELL_NATS_URL": f"nats://127.0.0.1:{free_port}",
    }
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        descriptor = listening.fileno()
        process = await command("--fd", str(descriptor), environment=environment, fds=(descriptor,))
    async with httpx.AsyncClient(base_url=address) as client:

        async def answered():
            try:
                return await client.get("/readyz")
            except httpx.TransportError:
                return None

        answer = await eventually(answered)
        assert answer.status_code == 503
        assert answer.json()["checks"] == {"database": "DatabaseUnavailable", "nats": "BusUnavailable"}
        assert (await client.get("/livez")).status_code == 200
    process.send_signal(signal.SIGTERM)
    _, log = await process.communicate()
    assert process.returncode == 0
    assert b"Traceback" not in log


@pytest.mark.parametrize(
    ("name", "value"),
    [("EVENT_RETENTION", "soon"), ("RELAY_LEASE_TTL", "PT0S"), ("RELAY_BATCH_SIZE", "0"), ("LOG_LEVEL", "LOUD")],
)
def test_a_wrong_setting_stops_it_with_one_line(monkeypatch, capsys, name, value):
    """It names the variable and ends with status 2."""
    for variable, given in {"DATABASE_URL": "x", "NATS_URL": "x", name: value}.items():
        monkeypatch.setenv(f"TASKBELL_{variable}", given)
    monkeypatch.setattr(sys, "argv", ["taskbell-relay"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"taskbell: TASKBELL_{name}: ")
