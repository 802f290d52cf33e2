"""`taskbell inbox` and `watch`: what happened, and what happens, through the real gateway."""

import asyncio
import json
import os
import pty
import signal
import socket
import subprocess

import pytest

pytestmark = [pytest.mark.xdist_group("terminal"), pytest.mark.timeout(600)]


@pytest.fixture
def watching(ann):
    """Starts `taskbell watch` of Ann, and waits until it listens."""
    started = []

    def watch(*options):
        process = subprocess.Popen(
            ann.command("watch", *options), env=ann.environment, cwd=ann.home,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        assert "listening from" in process.stderr.readline()
        return process

    yield watch
    for process in started:
        process.kill()
        process.communicate()


def titles(lines):
    """The titles of tasks in lines of JSON."""
    return [json.loads(line)["event"]["data"]["title"] for line in lines]


@pytest.mark.feature("M63", "F3")
async def test_nothing_is_lost_when_the_gateway_dies(ann, watching, platform):
    """What is written while the gateway is away comes when it is back, once and in order; the count ends it."""
    watch = watching("--json", "--count", "4")
    ann.types("add", "One")
    assert titles([watch.stdout.readline()]) == ["One"]
    old = platform.signal("gateway", signal.SIGKILL)
    for title in ("Two", "Three"):
        await asyncio.to_thread(ann.types, "add", title)
    await platform.renewed("gateway", old)
    await asyncio.to_thread(ann.types, "add", "Four")
    out, said = await asyncio.to_thread(watch.communicate, timeout=300)
    assert titles(out.splitlines()) == ["Two", "Three", "Four"]
    assert "again in" in said
    assert watch.returncode == 0


def test_a_cursor_continues_another_run(ann, watching):
    """`--after` with the cursor of a line of `--json` brings exactly what came after it."""
    watch = watching("--json", "--count", "1")
    ann.types("add", "One")
    cursor = json.loads(watch.stdout.readline())["cursor"]
    watch.communicate(timeout=300)
    for title in ("Two", "Three"):
        ann.types("add", title)
    resumed = watching("--json", "--count", "2", "--after", cursor)
    assert titles(resumed.communicate(timeout=300)[0].splitlines()) == ["Two", "Three"]
    assert "--after" in ann.types("watch", "--after", "yesterday", status=2).stderr


def test_ctrl_c_ends_it_cleanly(ann, watching):
    """Status 0, and no traceback."""
    watch = watching()
    ann.types("add", "Ring\x1b[2J the bell")
    line = watch.stdout.readline()
    assert "task.created" in line
    assert line.rstrip("\n").isprintable()
    watch.send_signal(signal.SIGINT)
    _, said = watch.communicate(timeout=100)
    assert (watch.returncode, "Traceback" in said) == (0, False)


def test_ctrl_c_ends_it_while_a_server_is_silent(ann):
    """A server that took the request and never answers holds nobody up."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        given = {"TASKBELL_URL": f"http://127.0.0.1:{silent.getsockname()[1]}", "TASKBELL_TOKEN": "tbp_x"}
        watch = subprocess.Popen(
            ann.command("watch"), env=ann.environment | given, cwd=ann.home, stderr=subprocess.PIPE, text=True
        )
        asking, _ = silent.accept()
        with asking:
            assert asking.recv(4) == b"POST"
            watch.send_signal(signal.SIGINT)
            _, said = watch.communicate(timeout=20)  # the request itself would last 30 s
            assert (watch.returncode, said) == (0, "")


def test_a_token_that_ends_ends_it(ann, watching):
    """Signing out elsewhere closes the connection: status 3 and what to do."""
    watch = watching()
    (token,) = ann.asks("/v1/tokens")["items"]
    ann.http.delete(f"/v1/tokens/{token['id']}").raise_for_status()
    _, said = watch.communicate(timeout=100)
    assert watch.returncode == 3
    assert "`taskbell login` signs you in" in said


@pytest.mark.feature("P11", "P15")
def test_the_inbox_tells_what_happened(ann, person):
    """An assignment is in the inbox, `--read` marks what it shows, `--all` still shows it."""
    bob = person("Bob")
    garden = ann.gets("workspaces", "--new", "Garden")[-1]["id"]
    ann.types("invite", bob.email, "-w", "Garden", "--role", "admin")
    bob.http.post(f"/v1/invitations/{bob.asks('/v1/invitations')['items'][0]['id']}/accept").raise_for_status()
    task = {"title": "Dig\x1b[2J", "workspace_id": garden, "assignee_ids": [ann.user_id]}
    bob.http.post("/v1/tasks", json=task).raise_for_status()
    (line,) = ann.types("inbox").stdout.splitlines()
    assert "Dig" in line
    assert line.replace("\t", "").isprintable()
    assert [one["kind"] for one in ann.gets("inbox", "--read")] == ["assigned"]
    assert ann.types("inbox").stderr == "taskbell: nothing new\n"
    assert [one["kind"] for one in ann.gets("inbox", "--all")] == ["assigned"]


def test_colours_are_for_terminals(ann):
    """On a terminal a list has a heading and colours, with NO_COLOR none; a pipe gets neither."""
    ann.http.post("/v1/tasks", json={"title": "Late", "due_at": "2020-01-01T00:00:00Z"}).raise_for_status()

    def on_a_terminal(**variables):
        ours, theirs = pty.openpty()
        environment = ann.environment | variables
        done = subprocess.Popen(ann.command("tasks"), env=environment, cwd=ann.home, stdout=theirs, stdin=theirs)
        os.close(theirs)
        assert done.wait(100) == 0
        with os.fdopen(ours, "rb") as screen:
            return screen.read1(65536).decode()

    coloured, plain = on_a_terminal(), on_a_terminal(NO_COLOR="1")
    assert "TITLE" in coloured
    assert "\x1b[31m" in coloured
    assert "TITLE" in plain
    assert "\x1b[31m" not in plain
    assert ann.types("tasks").stdout.startswith("1\tLate\t")


def test_a_shell_completes_commands_and_values(ann):
    """The script of bash works in bash: commands, options and values of options; zsh and fish have theirs."""
    completing = (
        'eval "$(taskbell completion bash)"; complete_it() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
        '_taskbell_completion taskbell; echo "${COMPREPLY[@]}"; }; '
        "complete_it taskbell log; complete_it taskbell tasks --sta; complete_it taskbell tasks --status c"
    )
    folder = ann.home / "bin"
    folder.mkdir()
    (folder / "taskbell").write_text(f'#!/bin/sh\nexec {ann.command()[0]} -m taskbell.local "$@"\n')
    (folder / "taskbell").chmod(0o755)
    environment = ann.environment | {"PATH": f"{folder}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", completing], env=environment, cwd=ann.home, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["login logout", "--status", "completed cancelled"]
    for shell in ("zsh", "fish"):
        assert "_TASKBELL_COMPLETE=complete_" in ann.types("completion", shell).stdout


def test_a_person_without_a_platform_is_told_at_once(ann, platform):
    """A server that is gone is told in a line with status 6, after a few more attempts."""
    kept = json.loads(ann.kept.read_text())
    ann.kept.write_text(json.dumps(kept | {"url": "http://127.0.0.1:1"}))
    said = ann.types("tasks", status=6).stderr
    assert "trying again" in said
    assert said.splitlines()[-1].startswith("taskbell: http://127.0.0.1:1 does not answer")


def test_a_new_task_reminds_at_once(ann):
    """`add --remind` tells the task, and the reminder is in the inbox."""
    assert ann.types("add", "Ring", "--remind").stdout == "1  Ring\n"
    assert "Ring" in ann.types("inbox").stdout
