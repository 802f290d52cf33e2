import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import httpx
import psutil
import pytest
from websockets.sync.client import connect

from taskbell.local import credentials
from taskbell.local.data_dir import DataDir
from taskbell.local.embedded.postgres import PostgresServer
from taskbell.testing.waiting import until

PARTS = {
    *("postgres", "postgres-replica", "nats", "pushsim"),
    *("relay", "relay-2", "delivery", "api", "api-2", "gateway"),
}


class Platform:
    """One `taskbell up` and its data directory."""

    def __init__(self, folder):
        self.folder = folder
        self.run_json = folder / "data" / "run.json"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TASKBELL_")}
        ports = {"TASKBELL_API_PORT": "0", "TASKBELL_GATEWAY_PORT": "0"}
        self.environment = {**kept, **ports, "TASKBELL_DATA_DIR": str(folder / "data")}

    @contextlib.contextmanager
    def up(self):
        """Start it, wait until it is ready, kill it if the test did not end it."""
        with (self.folder / "output").open("w") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "taskbell.local", "up"], env=self.environment, stdout=output, stderr=output
            )
        try:
            until(lambda: self.run_json.exists() or process.poll() is not None, within=300)
            assert process.poll() is None, self.output
            yield process
        finally:
            process.kill()
            process.wait()

    @property
    def output(self):
        """What `up` printed in its last run."""
        return (self.folder / "output").read_text()

    @property
    def run(self):
        """What it says of itself now."""
        return json.loads(self.run_json.read_text())

    def signed_in(self):
        """A client of the API, as the demo account."""
        client = httpx.Client(base_url=self.run["api_url"], timeout=60, trust_env=False)
        token = client.post("/v1/auth/login", json=self.run["demo"]).raise_for_status().json()["access_token"]
        client.headers["authorization"] = f"Bearer {token}"
        return client

    def doctor(self):
        """The names of what `doctor` fails."""
        command = [sys.executable, "-m", "taskbell.local", "doctor", "--json"]
        told = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        return [finding["name"] for finding in json.loads(told.stdout) if finding["severity"] == "fail"]


def tree(process):
    """Everything that `up` started."""
    return psutil.Process(process.pid).children(recursive=True)


def created(client, title):
    """Create a task, also while a part is away for a moment."""

    def attempt():
        try:
            answer = client.post("/v1/tasks", json={"title": title})
        except httpx.TransportError:
            return None
        return answer.json()["id"] if answer.status_code == 201 else None

    return until(attempt)


def received(platform, client, title):
    """Listen, create a task, and return the titles of the events that came until its own."""
    headers = {"authorization": client.headers["authorization"]}
    with connect(platform.run["gateway_url"], additional_headers=headers, proxy=None) as socket:
        assert json.loads(socket.recv(timeout=60))["t"] == "welcome"
        created(client, title)
        titles = []
        while title not in titles:
            frame = json.loads(socket.recv(timeout=60))
            if frame["t"] == "event":
                titles.append(frame["event"]["data"]["title"])
        return titles


@pytest.mark.feature("T12", "T18")
@pytest.mark.timeout(900)
def test_the_whole_platform_starts_heals_stops_and_starts_again(tmp_path):
    """One command, and events arrive; what is killed comes back; nothing is left behind; data and secrets survive."""
    platform = Platform(tmp_path)
    with platform.up() as process, contextlib.closing(platform.signed_in()) as client:
        run = platform.run
        assert set(run["components"]) == PARTS
        assert stat.S_IMODE(platform.run_json.stat().st_mode) == 0o600
        assert run["demo"]["password"] in platform.output
        assert received(platform, client, "first") == ["first"]
        for name in ("api", "relay", "nats", "gateway", "postgres"):
            old = platform.run["components"][name]["pid"]
            os.kill(old, signal.SIGKILL)
            until(lambda name=name, old=old: platform.run["components"][name]["pid"] not in {old, None})
            created(client, f"after {name}")
        until(lambda: platform.doctor() == [])
        assert received(platform, client, "last")[-1] == "last"
        soon = (datetime.now(UTC) + timedelta(minutes=30)).isoformat()
        assert client.post("/v1/tasks", json={"title": "due", "due_at": soon}).status_code == 201
        (notice,) = until(lambda: client.get("/v1/notifications").json()["items"])  # from the sweep
        assert (notice["kind"], notice["title"]) == ("due_soon", "due")
        everything = tree(process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(300) == 0
        assert not [part for part in everything if part.is_running()]
        assert not platform.run_json.exists()
    with platform.up() as process, contextlib.closing(platform.signed_in()) as client:
        assert platform.run["demo"]["password"] not in platform.output
        titles = {task["title"] for task in client.get("/v1/tasks").json()["items"]}
        assert {"first", "after postgres", "last"} <= titles
        everything = tree(process)
        process.kill()
        until(lambda: not [part for part in everything if part.is_running()])
    assert platform.doctor() == []


@pytest.mark.timeout(900)
def test_damaged_copies_are_set_aside_and_created_again(tmp_path):
    """A damaged replica and a damaged stream are one line each; the platform starts, and events arrive."""
    folder = tmp_path / "ünï 'x' %"
    folder.mkdir()
    platform = Platform(folder)
    with platform.up() as process, contextlib.closing(platform.signed_in()) as client:
        assert received(platform, client, "first") == ["first"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(300) == 0
    data = DataDir(folder / "data")
    (metafile,) = data.nats.rglob("TASKBELL_EVENTS/meta.inf")
    metafile.write_text("x\n")
    (data.replica / "global" / "pg_control").unlink()
    with platform.up(), contextlib.closing(platform.signed_in()) as client:
        assert received(platform, client, "second")[-1] == "second"
        told = [words for words in platform.output.splitlines() if "set aside" in words]
        assert sorted(words.split()[0] for words in told) == ["nats", "postgres-replica"]
        assert "pg_control" in platform.output
    assert len([*(folder / "data").glob("*.damaged-*")]) == 2


def test_a_database_that_cannot_start_ends_up_with_one_line(tmp_path):
    """A part that cannot stay up is named with its last words and its log; nothing is deleted."""
    platform = Platform(tmp_path)
    data = DataDir(tmp_path / "data")
    with data.locked():
        PostgresServer(data.postgres, password=credentials.load_or_generate(data).superuser_password).prepare()
    control = data.postgres / "global" / "pg_control"
    control.rename(control.with_suffix(".away"))
    command = [sys.executable, "-m", "taskbell.local", "up"]
    done = subprocess.run(command, env=platform.environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("taskbell: postgres cannot be kept running:")
    assert "pg_control" in line
    assert "postgres.log" in line
    assert control.with_suffix(".away").exists()
