"""The simulator as a process."""

import asyncio
import json
import shlex
import signal
import ssl
import sys

import httpx
import pytest

pytestmark = pytest.mark.feature("K4")


@pytest.fixture
async def start():
    """Start processes, end them."""
    made = []

    async def started(*arguments):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "taskbell.testing.pushsim", *map(str, arguments),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        made.append(process)
        return process

    yield started
    for process in made:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_a_person_sees_alerts_arrive(start, tmp_path):
    """It prints where it listens and its devices, then a line for each alert, and ends at SIGTERM."""
    process = await start("--dir", tmp_path, "--devices", "slack,fcm")
    lines = [(await process.stdout.readline()).decode() for _ in range(5)]
    hook = lines[2].split()[1]
    assert lines[3].split()[0] == "fcm"
    trust = ssl.create_default_context(cafile=tmp_path / "pushsim-ca.pem")
    async with httpx.AsyncClient(http2=True, http1=False, verify=trust, trust_env=False) as client:
        assert (await client.post(hook, json={"text": "Milk is due"})).text == "ok"
    assert (await process.stdout.readline()).decode().endswith("Milk is due\n")
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0


async def test_a_program_reads_json(start, tmp_path):
    """With --json the first document tells the addresses; the settings are in a file that a shell can read."""
    process = await start("--dir", tmp_path, "--devices", "webpush", "--json")
    document = json.loads(await process.stdout.readline())
    assert document["devices"]["webpush"].startswith(document["url"])
    settings = dict(each.split("=", 1) for each in shlex.split((tmp_path / "settings.env").read_text()))
    assert settings["TASKBELL_APNS_SANDBOX_URL"] == document["sandbox_url"]
    assert settings["TASKBELL_APNS_KEY"].startswith("-----BEGIN PRIVATE KEY-----\n")
    assert settings["TASKBELL_PUSH_CA_FILE"] == document["ca_file"]


async def test_a_wrong_device_is_a_sentence(start, tmp_path):
    """A mistake in the arguments ends it with one line."""
    process = await start("--dir", tmp_path, "--devices", "pager")
    _, error = await process.communicate()
    assert (process.returncode, error.decode()) == (1, "pushsim: 'pager' is not a valid Provider\n")


async def test_a_reader_that_left_stops_nothing(start, tmp_path):
    """Where nobody reads what it prints any more, alerts still arrive."""
    process = await start("--dir", tmp_path, "--devices", "slack", "--json")
    document = json.loads(await process.stdout.readline())
    process._transport.get_pipe_transport(1).close()
    trust = ssl.create_default_context(cafile=document["ca_file"])
    async with httpx.AsyncClient(http2=True, http1=False, verify=trust, trust_env=False) as client:
        for _ in range(3):
            assert (await client.post(document["devices"]["slack"], json={"text": "T"})).text == "ok"
        assert (await client.get(document["url"] + "/control")).json()["accepted"] == {"slack": 3}
