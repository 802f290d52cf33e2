"""`taskbell deadletters` against an empty ledger."""

import asyncio
import json
import os
import subprocess
import sys
import uuid


async def test_redriving_what_is_no_dead_letter_says_so(database, nats_url):
    """Nothing is redriven, and the exit status tells a script."""
    command = [sys.executable, "-m", "taskbell.local", "deadletters", "redrive", str(uuid.uuid4()), "--json"]
    places = {"TASKBELL_DATABASE_URL": database.owner_url, "TASKBELL_NATS_URL": nats_url}
    done = await asyncio.to_thread(
        subprocess.run, command, env={**os.environ, **places}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert json.loads(done.stdout) == {"events": 0, "expired": 0, "deliveries": 0, "unknown": 1}
