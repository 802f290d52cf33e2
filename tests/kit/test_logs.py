import json
import subprocess
import sys

import pytest

_PROGRAM = """
import logging
import structlog
from taskbell.kit import trace
from taskbell.kit.logs import configure_logs

configure_logs(service="test")
ours, theirs = structlog.get_logger("ours"), logging.getLogger("theirs")
"""


def _logged(program):
    """Runs a program in a process of its own, for logging is a global; returns its records."""
    run = subprocess.run(
        [sys.executable, "-c", _PROGRAM + program], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout == ""
    return [json.loads(line) for line in run.stderr.splitlines()]


@pytest.mark.feature("M48")
def test_own_and_foreign_records_have_one_form():
    """Our records and those of libraries are JSON lines with time, level, service and the trace at hand."""
    ours, theirs = _logged("""
trace.current.set(trace.TraceContext(trace_id="a" * 32, span_id="b" * 16, sampled=False))
ours.info("task_created", rows=1)
theirs.warning("slow %s", "disk")
ours.debug("not at this level")
""")
    assert (ours["event"], ours["rows"], theirs["event"]) == ("task_created", 1, "slow disk")
    for record in (ours, theirs):
        assert record["service"] == "test"
        assert record["trace_id"] == "a" * 32
        assert record["timestamp"].endswith("Z")
    assert (ours["level"], theirs["level"]) == ("info", "warning")


def test_secrets_are_hidden():
    """A value whose name speaks of a secret never reaches the log."""
    (record,) = _logged('ours.info("x", password="p1", access_token="p2", Authorization="p3", task="shown")')
    assert "shown" in record.values()
    assert not {"p1", "p2", "p3"} & set(map(str, record.values()))


def test_an_exception_is_one_line():
    """A traceback stays inside its record."""
    (record,) = _logged("""
try:
    raise ValueError("of the test")
except ValueError:
    ours.exception("failed")
""")
    assert "ValueError: of the test" in record["exception"]
