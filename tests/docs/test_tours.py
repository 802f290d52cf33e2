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
    """Run the document's blocks in one shell, without those for other terminals.

    Returns the output of each block, and the commands that failed with their status. Passwords are typed as asked for.
    """
    blocks = [
        block
        for block in _BLOCK.findall((_ROOT / document).read_text())
        if re.search(r"^(taskbell|curl) ", block, re.MULTILINE)
    ]
    address = json.loads((folder / ".taskbell" / "run.json").read_text())["api_url"]
    noting = """trap 'echo "FAILED $? $BASH_COMMAND" >&2' ERR\n"""
    script = noting + "\n".join(f"{block}\nprintf '\\n=====\\n'" for block in blocks)
    script = script.replace("API=http://127.0.0.1:8000", f"API={address}")
    shell = subprocess.run(
        ["bash", "-uo", "pipefail", "-c", script], cwd=folder, env=_environment(folder), capture_output=True,
        text=True, input="correct horse battery\n" * 3, timeout=300, check=False,
    )  # fmt: skip
    printed = shell.stdout.split("=====\n")[:-1]
    assert len(printed) == len(blocks), shell.stderr
    failed = [line.split(maxsplit=2)[1:] for line in shell.stderr.splitlines() if line.startswith("FAILED")]
    return [[line for line in block.splitlines() if line] for block in printed], failed


def _environment(folder):
    """A person's terminal: a home of their own, this installation's commands in the path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TASKBELL_", "XDG_"))}
    return kept | {
        "HOME": str(folder / "home"), "TZ": "UTC", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }  # fmt: skip


@pytest.fixture
def watching(running):
    """The third terminal of the tour: `taskbell watch` of the demo account, connected."""
    command = [sys.executable, "-m", "taskbell.local"]
    options = {"cwd": running, "env": _environment(running)}
    third = ["--profile", "third"]  # a second sign-in under one profile would end the first
    subprocess.run([*command, "login", "--demo", *third], check=True, stdout=subprocess.DEVNULL, **options)
    with subprocess.Popen(
        [*command, "watch", "--json", *third], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    ) as watch:
        assert "listening" in watch.stderr.readline()
        yield watch
        watch.kill()


@pytest.fixture
def alerted(running):
    """The third terminal later: a simulated browser of the demo account; it ends after the first alert."""
    devices = [sys.executable, "-m", "taskbell.local", "devices"]
    subprocess.run([*devices, "add", "--demo"], cwd=running, check=True, stdout=subprocess.DEVNULL)
    with subprocess.Popen([*devices, "watch", "--count", "1", "--all"], cwd=running, stdout=subprocess.PIPE) as alerts:
        yield alerts
        alerts.kill()


@pytest.mark.feature("M31")
def test_the_number_of_api_processes_is_a_setting(running):
    """`TASKBELL_API_WORKERS` says how many processes of the API run: here one."""
    parts = json.loads((running / ".taskbell" / "run.json").read_text())["components"]
    assert {part for part in parts if part.startswith("api")} == {"api"}


@pytest.mark.feature("T11", "T18", "P1", "P2", "P11", "F3", "M63")
def test_the_tour_of_the_readme(running, watching, alerted):
    """The README's commands sign in, add, list, edit, complete, invite and assign, and get an error explained.

    The tour kills the gateway, and `taskbell watch` misses nothing. An assignment is in the assignee's inbox, and a
    simulated browser shows a reminder.
    """
    printed, failed = _follow("README.md", running)
    assert failed == []
    signed_in, listed, changed, survived, together, _, refused = printed
    assert "as demo@example.com" in signed_in[0]
    assert listed == ["1  Ring the bell  due Sun 2027-01-31 09:00", *listed[1:]]
    assert listed[1].split("\t") == ["1", "Ring the bell", "Sun 2027-01-31 09:00", "1", "pending"]
    assert "status:   in progress" in changed
    assert survived == ["2  Written while the gateway was away", "done: Ring the bell"]
    assert "Oil the hinges" in together[-2]
    assert any("Oil the hinges" in line for line in together if "\t" in line)
    assert json.loads("".join(refused))["code"] == "validation_failed"
    heard = []
    while "Oil the clapper" not in [title for _, title in heard]:
        event = json.loads(watching.stdout.readline())["event"]
        heard.append((event["type"], event["data"].get("title")))
    created = [title for kind, title in heard if kind == "task.created"]
    assert created[:2] == ["Ring the bell", "Written while the gateway was away"]
    assert [title for kind, title in heard if kind == "task.status_changed"] == ["Ring the bell"] * 2
    assert b"Oil the clapper" in alerted.communicate(timeout=300)[0]


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
    printed, failed = _follow("docs/tutorial.md", running)
    assert [(int(status), command.split()[1]) for status, command in failed] == [(5, "edit"), (4, "show")]
    accounts, joined, tasks, moved, refused, looked, assigned, feed, secret = printed
    assert ["ann@" in accounts[0], "bob@" in accounts[1]] == [True, True]
    assert joined[-1] == "joined Garden as member"
    assert any("Ann" in line and "\t" in line for line in joined)
    assert [line.split("\t")[1] for line in tasks[2:]] == ["Dig", "Sow"] * 2
    rows = [line.split("\t") for line in moved if "\t" in line]
    assert [(row[1], row[-1]) for row in rows] == [("Sow", "pending"), ("Dig", "in progress")]
    assert refused == []
    assert (looked[0], "Dig deeper" in looked) == ("Dig", True)
    assert any(line.split("\t")[1:2] == ["Dig deeper"] for line in assigned)
    assert json.loads("".join(feed))["meta"]["next_cursor"]
    assert secret == []
