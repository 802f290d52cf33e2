"""The README's tour and the tutorial, run unchanged on the real platform."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from taskbell.testing.waiting import until

pytestmark = pytest.mark.xdist_group("tours")  # one platform for all

_ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A folder in which the whole platform runs, as `make run` would leave it in a checkout."""
    folder = tmp_path_factory.mktemp("checkout")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TASKBELL_")}
    environment = {**kept, "TASKBELL_API_PORT": "0", "TASKBELL_GATEWAY_PORT": "0", "TASKBELL_API_WORKERS": "1"}
    log = folder / "up.log"
    with log.open("wb") as output:
        up = subprocess.Popen(
            [sys.executable, "-m", "taskbell.local", "up"], cwd=folder, env=environment, stdout=output, stderr=output
        )
    try:
        until(lambda: (folder / ".taskbell" / "run.json").exists() or up.poll() is not None, "the platform", within=300)
        assert up.poll() is None, log.read_text()
        yield folder
    finally:
        up.send_signal(signal.SIGTERM)
        assert up.wait(300) == 0, log.read_text()


def _follow(document, folder):
    """Run the document's blocks in one shell, without those for other terminals; return the output of each."""
    blocks = [
        block
        for block in _BLOCK.findall((_ROOT / document).read_text())
        if re.search(r"^(curl|API=)", block, re.MULTILINE)
    ]
    address = json.loads((folder / ".taskbell" / "run.json").read_text())["api_url"]
    script = "\n".join(f"{block}\nprintf '\\n=====\\n'" for block in blocks)
    script = script.replace("API=http://127.0.0.1:8000", f"API={address}")
    shell = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert shell.returncode == 0, shell.stderr
    printed = shell.stdout.split("=====\n")[:-1]
    assert len(printed) == len(blocks)
    return printed


def _documents(printed):
    """The JSON documents in the output of a block, without response heads."""
    found, decoder, place = [], json.JSONDecoder(), 0
    while (start := printed.find("{", place)) >= 0:
        document, place = decoder.raw_decode(printed, start)
        found.append(document)
    return found


@pytest.fixture
def listening(running):
    """The third terminal of the tour: `taskbell listen`, connected; it exits after two events."""
    command = [sys.executable, "-m", "taskbell.local", "listen", "--json", "--count", "2"]
    with subprocess.Popen(command, cwd=running, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as listen:
        assert "listening" in listen.stderr.readline()
        yield listen
        listen.kill()


@pytest.fixture
def watching(running):
    """The third terminal later: a simulated browser of the demo account; it ends after the first alert."""
    devices = [sys.executable, "-m", "taskbell.local", "devices"]
    subprocess.run([*devices, "add", "--demo"], cwd=running, check=True, stdout=subprocess.DEVNULL)
    with subprocess.Popen([*devices, "watch", "--count", "1", "--all"], cwd=running, stdout=subprocess.PIPE) as watch:
        yield watch
        watch.kill()


@pytest.mark.feature("M31")
def test_the_number_of_api_processes_is_a_setting(running):
    """`TASKBELL_API_WORKERS` says how many processes of the API run: here one."""
    parts = json.loads((running / ".taskbell" / "run.json").read_text())["components"]
    assert {part for part in parts if part.startswith("api")} == {"api"}


@pytest.mark.feature("T11", "T18", "P1", "P2", "P11", "F3", "M63")
def test_the_tour_of_the_readme(running, listening, watching):
    """The README's commands sign in, create, list, get an error explained, and receive all events.

    The tour kills the gateway, and `taskbell listen` misses nothing. An assignment is in the assignee's inbox, a
    simulated browser shows a reminder, and a webhook is created.
    """
    _, created, listed, refused, survived, assigned, _, hooked = _follow("README.md", running)
    (task,) = _documents(created)
    assert task["title"] == "Ring the bell"
    tasks, events = _documents(listed)
    assert task in tasks["items"]
    assert {item["event"]["type"] for item in events["items"]} <= {"task.created"}  # the relay may be a moment behind
    assert _documents(refused)[0]["code"] == "validation_failed"
    assert _documents(survived)[0]["title"] == "Written while the gateway was away"
    _, duty, inbox = _documents(assigned)
    assert [(item["kind"], item["task_id"]) for item in inbox["items"]] == [("assigned", duty["id"]), ("invited", None)]
    assert _documents(hooked)[0]["secret"].startswith("whsec_")
    assert b"Oil the clapper" in watching.communicate(timeout=300)[0]
    heard, _ = listening.communicate(timeout=300)
    titles = [json.loads(line)["event"]["data"]["title"] for line in heard.splitlines()]
    assert titles == ["Ring the bell", "Written while the gateway was away"]


@pytest.fixture
def following(running):
    """Starts the example client as the tutorial does, and reads what it prints."""
    started = []
    address = json.loads((running / ".taskbell" / "run.json").read_text())["api_url"]

    def follow(*arguments):
        command = [sys.executable, str(_ROOT / "docs" / "examples" / "client.py"), *arguments]
        environment = {**os.environ, "API": address, "PYTHONUNBUFFERED": "1"}
        started.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
        return started[-1]

    yield follow
    for client in started:
        client.kill()
        client.communicate()


def _until(client, text):
    """What the client printed, up to the line with this text."""
    said = []
    while text not in (said[-1] if said else ""):
        line = client.stdout.readline().decode()
        assert line, said
        said.append(line)
    return said


def test_the_tutorials_client_misses_nothing(running, following):
    """Bob's client receives his assignment, survives the gateway's death, and receives what was written meanwhile."""
    run = json.loads((running / ".taskbell" / "run.json").read_text())
    with httpx.Client(base_url=run["api_url"]) as http:

        def post(path, body, **headers):
            return http.post(path, json=body, headers=headers).raise_for_status().json()

        people = {}
        for name in ("iris", "jack"):
            account = {"email": f"{name}@example.com", "password": f"a password of {name}", "name": name}
            people[name] = post("/v1/auth/register", account)
        iris = {"Authorization": f"Bearer {people['iris']['access_token']}"}
        garden = post("/v1/workspaces", {"name": "Garden"}, **iris)["id"]
        invitation = post(f"/v1/workspaces/{garden}/members", {"email": "jack@example.com"}, **iris)
        jack = {"Authorization": f"Bearer {people['jack']['access_token']}"}
        post(f"/v1/invitations/{invitation['id']}/accept", None, **jack)
        dig = {"workspace_id": garden, "title": "Dig", "assignee_ids": [people["jack"]["user"]["id"]]}
        first = post("/v1/tasks", dig, **iris)
        client = following("jack@example.com", "a password of jack", garden)
        _until(client, "loaded 1 tasks")
        post("/v1/tasks", {**dig, "title": "Sow"}, **iris)
        assert any("Sow" in line for line in _until(client, "for you: Sow: Assigned to you"))
        os.kill(run["components"]["gateway"]["pid"], signal.SIGKILL)
        post("/v1/tasks", {**dig, "title": "Reap"}, **iris)
        assert any(line.startswith("away") for line in _until(client, "for you: Reap"))
        http.delete(f"/v1/tasks/{first['id']}", headers=iris).raise_for_status()
        _until(client, "deleted: Dig")
    wrong = following("jack@example.com", "not it", garden)
    assert wrong.wait(300) == 1
    assert b"invalid_credentials" in wrong.stdout.read()


def test_the_tutorial(running):
    """The tutorial's commands do what it says: an invitation, a move, a stale version, an assignment, a feed."""
    _, member, tasks, stale, assigned, feed, secret = _follow("docs/tutorial.md", running)
    waiting, joined = _documents(member)
    assert [(item["workspace_name"], item["inviter_name"]) for item in waiting["items"]] == [("Garden", "Ann")]
    assert (joined["name"], joined["role"]) == ("Garden", "member")
    moved, changed, listed = _documents(tasks)
    assert [task["title"] for task in listed["items"]] == ["Sow", "Dig"]
    assert moved["position"] < listed["items"][1]["position"]
    assert changed["status"] == "in_progress"
    assert "412" in stale.splitlines()[0]
    assert _documents(stale)[0]["code"] == "version_mismatch"
    duty, comment, inbox = _documents(assigned)
    assert [(item["kind"], item["task_id"]) for item in inbox["items"]] == [
        ("mention", duty["id"]),
        ("assigned", duty["id"]),
        ("invited", None),
    ]
    assert (inbox["items"][0]["body"], comment["task_id"]) == (comment["body"], duty["id"])
    assert _documents(feed)[0]["meta"]["next_cursor"]
    assert "404" in secret.splitlines()[0]
