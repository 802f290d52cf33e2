"""`taskbell remind` is the sweep by its short name."""

import asyncio
import json
import os
import sys

from taskbell.local.run_file import Demo, RunFile


async def _remind(*arguments, **environment):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "taskbell.local", "remind", *arguments),
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


async def test_options_are_passed_on(database):
    """As a CronJob calls it: kind, span and shard reach the sweep, and its summary comes back."""
    status, output, errors = await _remind(
        *("--kind", "due", "--until", "+1s", "--shard", "1/2", "--json"), TASKBELL_DATABASE_URL=database.sweeper_url
    )
    assert status == 0, errors
    assert json.loads(output)["kind"] == "due"


async def test_maintenance_by_its_short_name(database):
    """The other kind, with the owner's rights."""
    status, output, errors = await _remind("--kind", "maintenance", "--json", TASKBELL_DATABASE_URL=database.owner_url)
    assert status == 0, errors
    assert json.loads(output)["failed"] == {}


async def test_a_missing_setting_is_named():
    """Without an address of the database: status 2 and the variable's name."""
    status, _, errors = await _remind("--kind", "due", TASKBELL_DATABASE_URL="")
    assert status != 0
    assert errors


async def test_the_platform_of_the_data_directory_is_found(database, nats_url, tmp_path):
    """With a running `taskbell up` no address is needed: run.json has them."""
    RunFile(
        pid=1,
        api_url="http://127.0.0.1:1",
        gateway_url="ws://127.0.0.1:1",
        nats_url=nats_url,
        database_url=database.api_url,
        replica_urls=[],
        owner_database_url=database.owner_url,
        demo=Demo(email="demo@taskbell.dev", password="password"),
        components={},
    ).write(tmp_path / "run.json")
    status, output, errors = await _remind("--kind", "due", "--json", TASKBELL_DATA_DIR=str(tmp_path))
    assert status == 0, errors
    assert json.loads(output)["kind"] == "due"
