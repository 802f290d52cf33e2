"""Programs start without what they do not use."""

import subprocess
import sys

_LOADED = "import sys, taskbell.relay.command, taskbell.store.revisions; print(*sys.modules)"


def test_a_program_loads_no_optional_parts():
    """Aiohttp and rich, though installed here, and what only sends traces or migrates are not loaded at the start."""
    done = subprocess.run([sys.executable, "-c", _LOADED], capture_output=True, text=True, check=True)
    loaded = {*done.stdout.split()}
    assert {"nats", "structlog", "asyncpg"} <= loaded
    assert loaded.isdisjoint({"aiohttp", "rich", "opentelemetry.sdk", "google.protobuf", "alembic", "sqlalchemy"})
