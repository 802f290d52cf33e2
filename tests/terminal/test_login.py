"""`taskbell login` and `logout`: what is kept, how safely, and what ends it."""

import json
import os
import pty
import stat
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pyotp
import pytest

from taskbell.contract import personal_tokens
from taskbell.terminal.keeping import SCOPES

pytestmark = [pytest.mark.xdist_group("terminal"), pytest.mark.timeout(600)]
PASSWORD = "correct horse battery staple"


def tokens(person):
    """The personal access tokens of somebody."""
    return person.asks("/v1/tokens")["items"]


@pytest.mark.feature("P2", "M37")
def test_signing_in_keeps_a_token_and_no_password(stranger):
    """A personal access token with the scopes of the commands is in a file of mode 600; no session is left behind."""
    sessions = len(stranger.asks("/v1/me/sessions")["items"])
    done = stranger.types("login", stranger.url, "--email", stranger.email, given=f"{PASSWORD}\n")
    assert f"signed in to {stranger.url} as {stranger.email} until" in done.stdout
    assert stat.S_IMODE(stranger.kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(stranger.kept.parent.stat().st_mode) == 0o700
    kept = json.loads(stranger.kept.read_text())
    assert kept | {"token": ""} == {"url": stranger.url, "email": stranger.email, "token": ""}
    assert personal_tokens.is_well_formed(kept["token"])
    assert PASSWORD not in stranger.kept.read_text() + done.stdout + done.stderr
    assert kept["token"] not in done.stdout + done.stderr
    (made,) = tokens(stranger)
    assert sorted(made["scopes"]) == sorted(SCOPES)
    assert len(stranger.asks("/v1/me/sessions")["items"]) == sessions


def test_signing_out_ends_the_token_on_the_server(ann):
    """The token is deleted there and here, and the next command says how to sign in."""
    assert len(tokens(ann)) == 1
    assert "signed out" in ann.types("logout").stdout
    assert tokens(ann) == []
    assert not ann.kept.exists()
    assert ann.types("tasks", status=3).stderr == "taskbell: not signed in: `taskbell login` signs you in\n"


def test_signing_in_again_ends_the_former_token(ann):
    """However often somebody signs in on one machine, one token exists."""
    before = tokens(ann)
    ann.types("login", ann.url, "--email", ann.email, given=f"{PASSWORD}\n")
    after = tokens(ann)
    assert len(after) == 1
    assert after != before
    ann.types("tasks")


def test_a_second_factor_is_asked_for(ann):
    """With an authenticator the code is asked for after the password; a wrong one may be corrected."""
    ann.types("logout")
    secret = ann.http.post("/v1/me/second-factor", json={"password": PASSWORD}).raise_for_status().json()["secret"]
    authenticator = pyotp.TOTP(secret)
    confirmed = ann.http.post("/v1/me/second-factor/confirm", json={"code": authenticator.now()})
    recovery = confirmed.raise_for_status().json()["recovery_codes"]
    done = ann.types("login", ann.url, "--email", ann.email, given=f"{PASSWORD}\n000000\n{recovery[0]}\n")
    assert "The code is" in done.stderr or "second factor" in done.stderr.lower()
    ann.types("tasks")


def test_a_wrong_password_keeps_nothing(stranger):
    """Status 3, one line, no file."""
    done = stranger.types("login", stranger.url, "--email", stranger.email, given="wrong password\n", status=3)
    assert done.stderr.count("\n") == 1
    assert not stranger.kept.exists()


def test_a_token_of_ones_own_is_tried_before_it_is_kept(stranger):
    """`--token` reads it from standard input; a mistyped or ended one is refused and not kept."""
    body = {"name": "Mine", "scopes": ["tasks:write", "profile:read"]}
    made = stranger.http.post("/v1/tokens", json=body).raise_for_status().json()
    mistyped = made["token"][:-1]
    assert "whole" in stranger.types("login", stranger.url, "--token", given=f"{mistyped}\n", status=2).stderr
    stranger.types("login", stranger.url, "--token", given=f"{personal_tokens.make()}\n", status=3)
    assert not stranger.kept.exists()
    done = stranger.types("login", stranger.url, "--token", given=f"{made['token']}\n")
    assert stranger.email in done.stdout
    assert made["token"] not in done.stdout + done.stderr
    stranger.types("add", "By a token")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_a_file_that_others_can_reach_is_refused(ann, mode):
    """Whoever else may read or write the file has the token, or chose it."""
    ann.kept.chmod(mode)
    done = ann.types("tasks", status=3)
    assert f"mode {mode:o}" in done.stderr
    assert json.loads(ann.kept.read_text())["token"] not in done.stderr


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"url": "x"}', '{"url": "x", "token": "y", "more": 1}', '{"url": 1, "token": "y"}']
)
def test_a_damaged_file_is_one_line(ann, text):
    """Status 3, and how to repair it."""
    ann.kept.write_text(text)
    assert "damaged" in ann.types("tasks", status=3).stderr


def test_the_token_is_private_whatever_the_umask_is(stranger):
    """Not even for a moment is there a file of another mode: it is made with it."""
    former = os.umask(0)
    try:
        stranger.types("login", stranger.url, "--email", stranger.email, given=f"{PASSWORD}\n")
    finally:
        os.umask(former)
    assert {stat.S_IMODE(path.stat().st_mode) for path in stranger.kept.parent.iterdir()} == {0o600}


def test_a_token_that_has_ended_is_told(ann):
    """Deleted elsewhere: status 3 and what to do; signing out then forgets it all the same."""
    (made,) = tokens(ann)
    ann.http.delete(f"/v1/tokens/{made['id']}").raise_for_status()
    done = ann.types("tasks", status=3)
    assert "`taskbell login` signs you in" in done.stderr
    ann.types("logout")
    assert not ann.kept.exists()


def test_profiles_are_apart(person):
    """`--profile` and TASKBELL_PROFILE name one of several sign-ins."""
    ann, bob = person("Ann"), person("Bob")
    ann.types("login", ann.url, "--email", ann.email, given=f"{PASSWORD}\n")
    ann.types("login", ann.url, "--email", bob.email, "--profile", "bob", given=f"{PASSWORD}\n")
    ann.types("add", "Of Bob", "--profile", "bob")
    assert [task["title"] for task in ann.gets("tasks")] == []
    assert [task["title"] for task in ann.gets("tasks", TASKBELL_PROFILE="bob")] == ["Of Bob"]
    assert "not a name" in ann.types("tasks", "--profile", "../default", status=2).stderr


def test_a_program_brings_address_and_token_in_its_environment(ann, tmp_path):
    """TASKBELL_URL and TASKBELL_TOKEN replace a sign-in, write no file, and numbers are not for programs."""
    given = {"TASKBELL_URL": ann.url, "TASKBELL_TOKEN": json.loads(ann.kept.read_text())["token"]}
    given |= {"HOME": str(tmp_path / "program")}
    (made,) = ann.gets("add", "By a program", **given)
    assert ann.types("tasks", **given).stdout.startswith(made["id"])
    ann.types("done", made["id"], **given)
    assert "whole id" in ann.types("done", "1", status=2, **given).stderr
    assert not (tmp_path / "program").exists()
    assert "TASKBELL_URL" in ann.types("tasks", status=2, **(given | {"TASKBELL_URL": ""})).stderr


@pytest.mark.parametrize(
    ("url", "status", "told"),
    [
        ("http://tasks.example.com", 2, "not encrypted"),
        ("ftp://tasks.example.com", 2, "not an address"),
        ("https://user:secret@tasks.example.com", 2, "not an address"),
        ("https://tasks.example.com:port", 2, "not an address"),
        ("http://127.0.0.1:1", 6, "does not answer"),
        ("http://localhost:1", 6, "does not answer"),
    ],
)
def test_a_wrong_address_is_told_before_anything_is_kept(stranger, url, status, told):
    """Nothing secret goes to an address without https, and each failure is told in a line."""
    done = stranger.types("login", url, "--email", stranger.email, given=f"{PASSWORD}\n", status=status)
    assert told in done.stderr
    assert not stranger.kept.exists()


@pytest.fixture
def elsewhere():
    """Starts a web server that gives every request one answer; returns its address and what it was sent."""
    servers = []

    def start(status, head, body=b""):
        asked = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                asked.append(self.rfile.read(int(self.headers["content-length"] or 0)))
                self.send_response(status)
                for name, value in {**head, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST  # noqa: N815 -- http.server names it

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever).start()
        return f"http://127.0.0.1:{server.server_port}", asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "head", "body", "told"),
    [
        (200, {"Content-Type": "text/html"}, b"<h1>It works</h1>", "is the address right?"),
        (200, {"Content-Type": "application/json"}, b"[]", "is the address right?"),
        (200, {"Content-Type": "application/json"}, b"{", "is the address right?"),
        (200, {"Content-Type": "application/json"}, b'{"hello": "world"}', "has no access_token"),
        (200, {"Content-Type": "application/json"}, b"[" * 100_000, "is the address right?"),
        (200, {"Content-Type": "application/json", "Content-Encoding": "gzip"}, b"{}", "is the address right?"),
        (200, {"Content-Type": "application/json"}, b" " * (2**26 + 1) + b"{}", "is the address right?"),
        (404, {"Content-Type": "application/problem+json"}, b'{"title": "Not here"}', "is the address right?"),
        (500, {}, b"", "is the address right?"),
        (308, {"Location": "https://tasks.example.com/"}, b"", "It points to https://tasks.example.com/"),
    ],
)
def test_the_address_of_another_service_is_told(stranger, elsewhere, status, head, body, told):
    """What does not answer as Taskbell does is told, and no redirect is followed: the password goes to one place."""
    url, asked = elsewhere(status, head, body)
    done = stranger.types("login", url, "--email", stranger.email, given=f"{PASSWORD}\n", status=6)
    assert told in done.stderr
    assert done.stderr.count("\n") == len(asked) == 1
    assert not stranger.kept.exists()


def test_the_demo_account_needs_no_password(stranger, platform):
    """Next to a platform that runs here, `--demo` takes address and account from it."""
    done = stranger.types("login", "--demo", TASKBELL_DATA_DIR=str(platform.data))
    assert "demo@example.com" in done.stdout
    stranger.types("tasks")


def test_a_password_that_is_typed_is_not_shown(stranger):
    """On a terminal it is asked for without an echo."""
    ours, theirs = pty.openpty()
    signing_in = subprocess.Popen(
        stranger.command("login", stranger.url, "--email", stranger.email), env=stranger.environment,
        cwd=stranger.home, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    with os.fdopen(ours, "r+b", buffering=0) as screen:
        said = b""
        while b"Password: " not in said:
            said += screen.read(1024)
        screen.write(f"{PASSWORD}\n".encode())
        while b"signed in to" not in said:
            said += screen.read(1024)
        assert signing_in.wait(60) == 0
    assert PASSWORD.encode() not in said


@pytest.mark.parametrize("end", ["\r", "\n", " ", "\xfc"])
def test_a_token_that_cannot_be_sent_is_not_shown(ann, end):
    """One with the end of a line, as files have it, is a mistake, and on no screen and in no log."""
    token = json.loads(ann.kept.read_text())["token"]
    done = ann.types("tasks", status=2, TASKBELL_URL=ann.url, TASKBELL_TOKEN=token + end)
    assert "TASKBELL_TOKEN has characters" in done.stderr
    assert token not in done.stdout + done.stderr


@pytest.mark.parametrize("command", ["login", "logout"])
def test_a_token_that_others_could_read_is_ended(ann, command):
    """Signing in again and signing out end it where it was made, so that whoever read it has nothing."""
    (exposed,) = tokens(ann)
    ann.kept.chmod(0o644)
    if command == "login":
        ann.types("login", ann.url, "--email", ann.email, given=f"{PASSWORD}\n")
    else:
        ann.types("logout")
    assert exposed["id"] not in [token["id"] for token in tokens(ann)]


def test_the_folder_of_somebody_else_leads_no_password_away(stranger):
    """A `run.json` that points to another machine is not the platform that runs here."""
    (stranger.home / ".taskbell").mkdir()
    demo = {"email": "demo@example.com", "password": PASSWORD}
    run = {"api_url": "https://tasks.example.com", "demo": demo}
    (stranger.home / ".taskbell" / "run.json").write_text(json.dumps(run))
    for options in (("--demo",), ("--email", stranger.email)):
        done = stranger.types("login", *options, given=f"{PASSWORD}\n", status=2)
        assert "runs" in done.stderr
        assert "does not answer" not in done.stderr


def test_a_sign_in_is_kept_where_nothing_can_be_remembered(stranger):
    """What is remembered for the next command is not worth a failure."""
    (stranger.home / ".local").touch()
    stranger.types("login", stranger.url, "--email", stranger.email, given=f"{PASSWORD}\n")
    assert stranger.kept.exists()


def test_where_nothing_can_be_written_that_is_told(ann):
    """A sign-in that cannot be kept is a failure; numbers that cannot be are a line, because the task was added."""
    (ann.home / ".local").touch()
    done = ann.types("add", "Pay rent")
    assert "cannot be remembered" in done.stderr
    assert len(ann.gets("tasks")) == 1
    (ann.home / "file").touch()
    given = {"XDG_CONFIG_HOME": str(ann.home / "file")}
    done = ann.types("login", ann.url, "--email", ann.email, given=f"{PASSWORD}\n", status=1, **given)
    assert "cannot be kept" in done.stderr
    assert len(tokens(ann)) == 1  # the one that was made is ended, the kept one is not
    ann.types("tasks")


def test_without_a_platform_an_address_is_needed(stranger):
    """One line, status 2."""
    assert "give the address" in stranger.types("login", status=2).stderr
