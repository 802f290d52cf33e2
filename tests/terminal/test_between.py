"""What happens between a command and the API: lost answers, unavailable servers, limits of requests."""

import json
import platform
import signal
import socket
import subprocess
import threading
from urllib.parse import urlsplit

import pytest

from taskbell.terminal.api import Api
from taskbell.terminal.errors import Unreachable

pytestmark = [pytest.mark.xdist_group("terminal"), pytest.mark.timeout(600)]
LOSE, PASS = "lose", "pass"
BUSY = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\n"
AWAY = "HTTP/1.1 503 Service Unavailable\r\n"
_PROBLEM = '{"code": "rate_limited", "title": "Too many requests", "detail": "Too many requests."}'


class Between:
    """A proxy before the API that handles one request after another as told, and each further one passes.

    Attributes:
        handled: What was done with each request.
        keys: The `Idempotency-Key` of each, or None.
    """

    def __init__(self, target, *script):
        self._target = urlsplit(target).netloc.split(":")
        self._script = list(script)
        self.handled, self.keys = [], []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            with client:
                self._handle(client)

    def _handle(self, client):
        """One request a connection, and the connection ends with it."""
        asked = _message(client)
        head = asked.partition(b"\r\n\r\n")[0].decode()
        found = [line.split(": ", 1)[1] for line in head.split("\r\n") if line.lower().startswith("idempotency-key: ")]
        self.keys.append(found[0] if found else None)
        action = self._script.pop(0) if self._script else PASS
        self.handled.append(action)
        if action not in {LOSE, PASS}:
            head = f"Content-Type: application/problem+json\r\nContent-Length: {len(_PROBLEM)}\r\nConnection: close"
            client.sendall(f"{action}{head}\r\n\r\n{_PROBLEM}".encode())
            return
        with socket.create_connection(self._target) as api:
            api.sendall(asked)
            answer = _message(api)
        if action == PASS:
            client.sendall(answer)

    def close(self):
        """Accept no more."""
        self._socket.close()


def _message(peer):
    """A whole HTTP message with a Content-Length."""
    found = b""
    while b"\r\n\r\n" not in found:
        found += peer.recv(65536) or pytest.fail("cut off")
    head, _, body = found.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    while len(body) < int(lengths[0] if lengths else 0):
        body += peer.recv(65536) or pytest.fail("cut off")
    return head + b"\r\n\r\n" + body


@pytest.fixture
def between(ann):
    """Puts a proxy between Ann's commands and the API."""
    made = []

    def put(*script):
        made.append(Between(ann.url, *script))
        ann.kept.write_text(json.dumps(json.loads(ann.kept.read_text()) | {"url": made[-1].url}))
        return made[-1]

    yield put
    for each in made:
        each.close()


def test_a_lost_answer_makes_no_second_task(ann, between):
    """The task was created, its answer was lost: the command asks again with the same key, and there is one task."""
    proxy = between(LOSE)
    done = ann.types("add", "Pay rent")
    assert done.stdout == "1  Pay rent\n"
    assert "trying again" in done.stderr
    assert proxy.handled == [LOSE, PASS]
    assert proxy.keys[0] is not None
    assert proxy.keys[0] == proxy.keys[1]
    assert [task["title"] for task in ann.asks("/v1/tasks")["items"]] == ["Pay rent"]


@pytest.mark.feature("M34")
def test_the_command_waits_as_the_api_says(ann, between):
    """A 429 with `Retry-After` is told and waited for."""
    proxy = between(BUSY)
    done = ann.types("add", "Pay rent")
    assert done.stderr == "taskbell: asked to wait: 1 s\n"
    assert proxy.handled == [BUSY, PASS]
    assert len(ann.asks("/v1/tasks")["items"]) == 1


def test_a_long_wait_is_told_and_not_waited_for(ann, between):
    """An hour is not waited for in silence: status 1, with the API's own words."""
    proxy = between(BUSY.replace("Retry-After: 1", "Retry-After: 3600"))
    assert ann.types("add", "Pay rent", status=1).stderr == "taskbell: Too many requests.\n"
    assert len(proxy.handled) == 1


def test_an_unavailable_server_is_asked_again_and_then_told(ann, between):
    """Four more attempts, then status 6; a server that is back in time costs nothing but a line."""
    proxy = between(AWAY)
    assert "(503), trying again" in ann.types("tasks").stderr
    proxy = between(*[AWAY] * 9)
    said = ann.types("tasks", status=6).stderr
    assert len(proxy.handled) == 5
    assert "try again later" in said.splitlines()[-1]


def test_an_unavailable_server_may_say_how_long(ann, between):
    """A 503 with `Retry-After` is waited for like a 429, and the change is made once."""
    proxy = between(f"{AWAY}Retry-After: 1\r\n")
    assert ann.types("add", "Pay rent").stderr == "taskbell: asked to wait: 1 s\n"
    assert proxy.keys[0] == proxy.keys[1]
    assert len(ann.asks("/v1/tasks")["items"]) == 1


def test_the_name_of_this_machine_may_have_any_letters(monkeypatch):
    """It is in a header, which is ASCII."""
    monkeypatch.setattr(platform, "node", lambda: "B\xfcro")
    with Api("http://127.0.0.1:1", sleep=lambda _: None) as api, pytest.raises(Unreachable, match="does not answer"):
        api.get("/v1/me")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_command_does_not_say_that_it_is_done(ann, between, number, status):
    """Ctrl-C and SIGTERM end a command that waits, without a traceback and with a status of their own."""
    between(BUSY.replace("Retry-After: 1", "Retry-After: 100"))
    adding = subprocess.Popen(
        ann.command("add", "Pay rent"), env=ann.environment, cwd=ann.home, stderr=subprocess.PIPE, text=True
    )
    assert "asked to wait" in adding.stderr.readline()
    adding.send_signal(number)
    assert (adding.communicate(timeout=60)[1].strip(), adding.returncode) == ("", status)
    assert ann.asks("/v1/tasks")["items"] == []
