"""The client commands as a person runs them: processes of their own, next to one real platform for all tests."""

import dataclasses
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from taskbell.testing.platform import Platform

PASSWORD = "correct horse battery staple"
_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def platform(tmp_path_factory):
    """A platform that serves as many requests as the tests make."""
    made = Platform(
        tmp_path_factory.mktemp("platform"),
        TASKBELL_API_WORKERS="1",
        TASKBELL_PUSH_SIMULATOR="false",
        TASKBELL_RATE_LIMIT_PER_MINUTE="100000",
        TASKBELL_REGISTRATIONS_ALLOWED="1000",
    )
    with made.up():
        yield made


@dataclasses.dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody with an account and a home folder."""

    home: Path
    url: str
    email: str
    user_id: str
    http: httpx.Client

    @property
    def environment(self):
        """The variables of their terminal: an eastern time zone, no colours refused, nothing of Taskbell's."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("TASKBELL_", "XDG_", "NO_COLOR", "FORCE_COLOR", "PYTEST"))
        }
        return kept | {"HOME": str(self.home), "TZ": "Asia/Tokyo", "TERM": "xterm-256color", "COLUMNS": "100"}

    @property
    def kept(self):
        """The file of their sign-in."""
        return self.home / ".config" / "taskbell" / "default.json"

    def command(self, *arguments):
        """What they type."""
        return [sys.executable, "-m", "taskbell.local", *arguments]

    def types(self, *arguments, given="", status=0, encoding=None, **variables):
        """Run a command with what they type into it; check its status, and return it."""
        done = subprocess.run(
            self.command(*arguments), env={**self.environment, **variables}, cwd=self.home, input=given,
            text=True, encoding=encoding, capture_output=True, timeout=100, check=False,
        )  # fmt: skip
        assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done

    def gets(self, *arguments, **options):
        """Run a command with `--json`; return the documents that it prints."""
        return [json.loads(line) for line in self.types(*arguments, "--json", **options).stdout.splitlines()]

    def asks(self, path, **parameters):
        """Read something of the API directly."""
        return self.http.get(path, params=parameters).raise_for_status().json()


@pytest.fixture
def person(platform, tmp_path):
    """Makes people."""
    clients = []

    def make(name="Ann"):
        number = next(_NUMBERS)
        home = tmp_path / f"home{number}"
        home.mkdir()
        http = httpx.Client(base_url=platform.api_url, trust_env=False, timeout=30)
        clients.append(http)
        email = f"{name.lower()}{os.getpid()}.{number}@example.com"
        made = http.post("/v1/auth/register", json={"email": email, "password": PASSWORD, "name": name})
        found = made.raise_for_status().json()
        http.headers["Authorization"] = f"Bearer {found['access_token']}"
        return Person(home=home, url=platform.api_url, email=email, user_id=found["user"]["id"], http=http)

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def stranger(person):
    """Somebody with an account who has not signed in at the terminal."""
    return person()


@pytest.fixture
def ann(stranger):
    """The same, signed in."""
    stranger.types("login", stranger.url, "--email", stranger.email, given=f"{PASSWORD}\n")
    return stranger
