"""Load from several machines: locust's workers get the briefing from the run, and send it what they measured.

`taskbell capacity worker --master HOST` is one of them. Locust's own protocol knows no passwords: let only the workers
reach the two ports.
"""

from __future__ import annotations

import argparse
import hmac
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final, NoReturn

import httpx

from taskbell.capacity.arguments import KEY, LOCUST_PORT, within
from taskbell.capacity.briefing import Briefing

_PATIENCE_SECONDS: Final = 300.0
_PATH: Final = "/briefing"


@contextmanager
def briefing_served(briefing: Briefing, *, host: str, port: int, key: str) -> Iterator[int]:
    """Give the briefing, which holds tokens, to whom knows the key; yield the port."""
    content = briefing.path.read_bytes()

    class Handler(BaseHTTPRequestHandler):
        """Answers one path."""

        def do_GET(self) -> None:
            """Send the briefing, or 404."""
            known = hmac.compare_digest(self.headers.get("Authorization", "").encode(), f"Bearer {key}".encode())
            if self.path != _PATH or not known:
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer((host, port), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def fetch(master: str, *, port: int, key: str, within_seconds: float = _PATIENCE_SECONDS) -> bytes:
    """Get the briefing of a run, which may still have to begin.

    Raises:
        TimeoutError: It did not begin within this time, or does not know the key.
    """
    deadline = time.monotonic() + within_seconds
    while True:
        try:
            answer = httpx.get(
                f"http://{master}:{port}{_PATH}",
                headers={"Authorization": f"Bearer {key}"},
                timeout=10,
                trust_env=False,
            )
            if answer.status_code == HTTPStatus.OK:
                return answer.content
            reason = f"status {answer.status_code}"
        except httpx.TransportError as away:
            reason = type(away).__name__
        if time.monotonic() > deadline:
            raise TimeoutError(f"no briefing from {master}:{port}: {reason}")
        time.sleep(1.0)


def main(given: Sequence[str]) -> int:
    """Become a worker of a run; its status is locust's, or 2 without a run."""
    made = argparse.ArgumentParser(
        prog="taskbell capacity worker",
        description=f"Make a part of the load of a run with --workers. {KEY} holds the key of the run.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--master", required=True, metavar="HOST", help="where the run is")
    made.add_argument("--port", type=within(int, 1, 65534), default=LOCUST_PORT, help="its port; the next one, too")
    options = made.parse_args(given)
    try:
        content = fetch(options.master, port=options.port + 1, key=os.environ.get(KEY, ""))
    except TimeoutError as late:
        sys.stderr.write(f"capacity: {late}\n")
        return 2
    folder = Path(tempfile.mkdtemp(prefix="taskbell-capacity-"))
    received = folder / "received.json"
    descriptor = os.open(received, os.O_WRONLY | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    briefing = replace(Briefing.read(received), folder=folder)
    received.unlink()
    briefing.write()
    scenario = Path(__file__).with_name("scenario.py")
    command = [sys.executable, "-m", "locust", "-f", str(scenario), "--worker", "--loglevel", "WARNING"]
    command += ["--master-host", options.master, "--master-port", str(options.port)]
    return _become(command, briefing)


def _become(command: list[str], briefing: Briefing) -> NoReturn:
    os.execve(command[0], command, {**os.environ, "CAPACITY_BRIEFING": str(briefing.path)})  # noqa: S606 -- no shell
