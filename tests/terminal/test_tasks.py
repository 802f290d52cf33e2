"""`taskbell add`, `tasks`, `show` and `done` on a real platform."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

pytestmark = [pytest.mark.xdist_group("terminal"), pytest.mark.timeout(600)]


@pytest.mark.feature("P5", "P6", "P9")
def test_a_day_with_tasks(ann):
    """Added tasks are listed with numbers; `show` and `done` take them."""
    assert ann.types("add", "Pay", "rent", "--due", "2027-01-31 09:00", "-p", "2").stdout.startswith(
        "1  Pay rent  due Sun"
    )
    assert ann.types("add", "Ring the bell").stdout == "2  Ring the bell\n"
    listed = [line.split("\t") for line in ann.types("tasks").stdout.splitlines()]
    assert listed == [
        ["1", "Pay rent", "Sun 2027-01-31 09:00", "2", "pending"],
        ["2", "Ring the bell", "", "5", "pending"],
    ]
    shown = ann.types("show", "1").stdout
    assert shown.startswith("Pay rent\n")
    assert "Sun 2027-01-31 09:00" in shown
    assert ann.types("done", "1", "2").stdout == "done: Pay rent\ndone: Ring the bell\n"
    assert "no tasks here" in ann.types("tasks").stderr
    done = ann.gets("tasks", "--status", "completed")
    assert [(task["title"], task["due_at"]) for task in done] == [
        ("Pay rent", "2027-01-31T00:00:00.000000Z"),  # nine o'clock in Tokyo
        ("Ring the bell", None),
    ]


def test_numbers_are_those_of_the_last_list(ann):
    """A number keeps its task until the next list, also when tasks before it are done; each add gets the next one."""
    for title in ("One", "Two", "Three"):
        ann.types("add", title)
    ann.types("tasks")
    ann.types("done", "1")
    assert ann.types("done", "2").stdout == "done: Two\n"
    assert ann.types("add", "Four").stdout == "4  Four\n"
    assert [line.split("\t")[:2] for line in ann.types("tasks").stdout.splitlines()] == [["1", "Three"], ["2", "Four"]]
    assert "no task was shown as 3" in ann.types("done", "3", status=4).stderr


def test_tasks_that_are_added_at_once_have_numbers_of_their_own(ann):
    """Commands that run at the same moment never give one number to two tasks."""
    with ThreadPoolExecutor(8) as at_once:
        lines = list(at_once.map(lambda number: ann.types("add", f"Task {number}").stdout, range(8)))
    numbers = {line.split()[0]: line for line in lines}
    assert {*numbers} == {str(number) for number in range(1, 9)}
    for number, line in numbers.items():
        assert json.loads(ann.types("show", number, "--json").stdout)["title"] == line.split("  ")[1].strip()


def test_one_failure_does_not_keep_the_others(ann):
    """`done` completes what it can, names what it cannot, and its status is of that."""
    made = ann.gets("add", "Here")[0]
    missing = "01995b7e-6d1c-7c63-a1a4-3d2d6f1c9a10"
    done = ann.types("done", missing, made["id"], status=4)
    assert done.stdout == "done: Here\n"
    assert missing in done.stderr


def test_pages_are_put_together(ann):
    """`--all` lists more than a page of the API, `--limit` as many as wanted, and says that there are more."""
    with ThreadPoolExecutor(8) as at_once:
        list(at_once.map(lambda number: ann.http.post("/v1/tasks", json={"title": str(number)}), range(230)))
    assert len(ann.gets("tasks", "--all")) == 230
    assert len(ann.gets("tasks", "--limit", "120")) == 120
    done = ann.types("tasks")
    assert len(done.stdout.splitlines()) == 50
    assert "more than 50" in done.stderr


def test_lists_are_filtered_and_sorted(ann):
    """Priority, due time, status, order, and the tasks of all workspaces."""
    for title, *options in [
        ("Late", "--due", "2027-03-01 12:00", "-p", "1"),
        ("Early", "--due", "2027-01-01 12:00", "-p", "9"),
        ("Some day",),
    ]:
        ann.types("add", title, *options)

    def titles(*options):
        return [task["title"] for task in ann.gets("tasks", *options)]

    assert titles() == ["Late", "Early", "Some day"]
    assert titles("--sort", "due") == ["Early", "Late", "Some day"]
    assert titles("--sort", "priority") == ["Late", "Some day", "Early"]
    assert titles("--due-before", "2027-02-01") == ["Early"]
    assert titles("--due-after", "2027-02-01") == ["Late"]
    assert titles("--priority", "9") == ["Early"]
    assert titles("--mine") == ["Some day", "Early", "Late"]
    assert titles("--status", "in_progress") == []


@pytest.mark.feature("P8")
def test_workspaces_and_members_have_names(person, ann):
    """`--workspace` takes a name, `--assign` an e-mail address; unknown and ambiguous ones are told."""
    bob = person("Bob")
    garden = ann.http.post("/v1/workspaces", json={"name": "Garden"}).raise_for_status().json()["id"]
    invited = ann.http.post(f"/v1/workspaces/{garden}/members", json={"email": bob.email, "role": "member"})
    bob.http.post(f"/v1/invitations/{invited.raise_for_status().json()['id']}/accept").raise_for_status()
    (made,) = ann.gets("add", "Dig", "-w", "garden", "--assign", bob.email, "--assign", "me")
    assert (made["workspace_id"], {*made["assignee_ids"]}) == (garden, {bob.user_id, ann.user_id})
    assert "Bob" in ann.types("show", made["id"]).stdout
    assert [task["title"] for task in ann.gets("tasks", "-w", "Garden")] == ["Dig"]
    assert "no workspace is called 'Cellar'" in ann.types("add", "x", "-w", "Cellar", status=4).stderr
    assert "no member" in ann.types("add", "x", "-w", "Garden", "--assign", "eve@example.com", status=4).stderr
    ann.http.post("/v1/workspaces", json={"name": "GARDEN"}).raise_for_status()
    assert "2 are called" in ann.types("tasks", "-w", "garden", status=2).stderr


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["add", " "], 1, "/title"),
        (["add", "x" * 256], 1, "/title"),
        (["add", "x", "--due", "soon"], 2, "not an instant"),
        (["add", "x", "--due", "2027-02-30"], 2, "not an instant"),
        (["show", "soon"], 2, "not a task"),
        (["show", "01995b7e-6d1c-7c63-a1a4-3d2d6f1c9a10"], 4, ""),
        (["tasks", "--mine", "-w", "x"], 2, "--mine"),
        (["show", "9" * 5000], 2, "not a task"),
    ],
)
def test_what_cannot_be_is_one_line(ann, arguments, status, told):
    """Each has its status, and a sentence on standard error; nothing is on standard output."""
    done = ann.types(*arguments, status=status)
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert told in done.stderr


def test_titles_do_not_control_the_terminal(ann):
    """Escape sequences, line breaks and reversed text that somebody wrote are shown as marks; JSON is ASCII."""
    hostile = "Pay\x1b[2J\x1b]0;owned\x07\u202e\u009b31m\u2028rent"
    ann.http.post("/v1/tasks", json={"title": hostile, "description": "one\x1b[31m\ntwo"}).raise_for_status()
    outputs = [ann.types("tasks").stdout, ann.types("show", "1").stdout, ann.types("done", "1").stdout]
    for output in outputs:
        assert {character for character in output if not character.isprintable()} <= {"\n", "\t"}
        assert "Pay" in output
    (found,) = ann.gets("tasks", "--status", "any")
    assert found["title"] == hostile
    assert ann.types("tasks", "--status", "any", "--json").stdout.isascii()


def test_a_pipe_that_closes_is_no_failure_to_tell(ann):
    """`taskbell tasks --all --json | head -1` prints a task and no complaint."""
    with ThreadPoolExecutor(8) as at_once:
        list(at_once.map(lambda number: ann.http.post("/v1/tasks", json={"title": "x" * 200}), range(300)))
    with subprocess.Popen(
        ann.command("tasks", "--all", "--json"),
        env=ann.environment, cwd=ann.home, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as listing:  # fmt: skip
        assert json.loads(listing.stdout.readline())["title"]
        listing.stdout.close()
        assert listing.stderr.read() == b""


def test_a_pipe_that_is_closed_before_a_line_is_no_complaint(ann):
    """`taskbell tasks | true`: what is left to print at the end is dropped in silence."""
    ann.types("add", "Pay rent")
    ours, theirs = os.pipe()
    os.close(ours)
    environment = {name: value for name, value in ann.environment.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        ann.command("tasks"), env=environment, cwd=ann.home, stdout=theirs, stderr=subprocess.PIPE, check=False
    )
    os.close(theirs)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize("arguments", [["tasks"], ["show", "1", "--json"]])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_is_one_line(ann, arguments, unbuffered):
    """What cannot be written to a file is told, whenever it turns out, with status 1."""
    ann.types("add", "Pay rent")
    with open("/dev/full", "w") as full:  # noqa: PTH123 -- a device
        done = subprocess.run(
            ann.command(*arguments), env=ann.environment | {"PYTHONUNBUFFERED": unbuffered}, cwd=ann.home,
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.stderr == "taskbell: what there is to print cannot be written: No space left on device\n"
    assert done.returncode == 1


def test_the_terminal_need_not_have_every_character(ann):
    """Where an encoding lacks a character, the list shows a mark in its place, and does not end there."""
    ann.http.post("/v1/tasks", json={"title": "\u6f22 Caf\xe9"}).raise_for_status()
    assert "? Caf\xe9" in ann.types("tasks", PYTHONIOENCODING="latin-1:strict", encoding="latin-1").stdout
    assert "not text" in ann.types("add", b"caf\xe9", status=2).stderr


def test_streams_may_be_closed(ann):
    """A command that a service starts without input and output does its work."""
    command = " ".join(ann.command("add", "Pay", "--description", "$0"))
    for number, closed in enumerate(("<&-", ">&-", "<&- >&- 2>&-")):
        subprocess.run(
            ["bash", "-c", f"{command} {closed}", str(number)], env=ann.environment, cwd=ann.home, check=True
        )
    assert [task["description"] for task in ann.gets("tasks")] == ["0", "1", "2"]
    listing = " ".join(ann.command("tasks"))
    subprocess.run(["bash", "-c", f"{listing} >&-"], env=ann.environment, cwd=ann.home, check=True)


def test_a_token_that_may_not_read_names_shows_ids(stranger):
    """A task is shown, and a change is told, though the names of those who do it are not known."""
    body = {"name": "Narrow", "scopes": ["tasks:write"]}
    made = stranger.http.post("/v1/tokens", json=body).raise_for_status().json()
    stranger.types("login", stranger.url, "--token", given=f"{made['token']}\n")
    task = stranger.http.post("/v1/tasks", json={"title": "Dig", "assignee_ids": [stranger.user_id]}).json()
    for arguments in (["show", task["id"]], ["edit", task["id"], "-p", "1"]):
        done = stranger.types(*arguments)
        assert stranger.user_id in done.stdout
        assert "names of members" in done.stderr


def test_it_loads_no_server(tmp_path):
    """Help, and a command up to its first request, load no library of a server and not even a table's."""
    code = (
        "import sys\nfrom taskbell.local.cli import main\ntry:\n    main()\nexcept SystemExit:\n    print(*sys.modules)"
    )
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin"}
    for arguments, absent in ((["--help"], {"httpx"}), (["add", "x"], {"rich", "click"})):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True, check=True
        )
        loaded = {*done.stdout.split()}
        assert "taskbell.local.cli" in loaded
        servers = {"fastapi", "uvicorn", "nats", "asyncpg", "sqlalchemy", "structlog", "opentelemetry", "websockets"}
        assert loaded.isdisjoint(servers | {"taskbell.kit", "taskbell.api", "taskbell.store", "asyncio"} | absent)
