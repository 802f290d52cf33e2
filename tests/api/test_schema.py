"""The OpenAPI document is true: whatever it permits or forbids is sent, and every answer is one that it describes."""

import contextlib
import dataclasses
import socket
import threading

import httpx
import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as profile
from hypothesis.errors import Unsatisfiable
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks

from taskbell.api.app import create_app
from taskbell.api.http import paging

START_SECONDS = 60.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Served:
    """A served application and the header of somebody who is signed in."""

    url: str
    headers: dict[str, str]


@pytest.fixture
def served(settings, monkeypatch):
    """The API on a port of its own, in a thread: hypothesis is not asynchronous."""
    monkeypatch.setattr(paging, "LIST_SECONDS", START_SECONDS)  # a slow machine is no reason to refuse a list
    listening = socket.create_server(("127.0.0.1", 0))
    started = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets=None):
            await super().startup(sockets)
            started.set()

    server = Server(uvicorn.Config(create_app(settings), log_config=None, lifespan="on", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="served")
    thread.start()
    try:
        assert started.wait(START_SECONDS)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        body = {"email": "ann@example.com", "password": "correct horse battery staple"}
        token = httpx.post(f"{url}/v1/auth/register", json=body, timeout=START_SECONDS).json()["access_token"]
        yield Served(url=url, headers={"Authorization": f"Bearer {token}"})
    finally:
        server.should_exit = True
        thread.join(START_SECONDS)
        listening.close()
    assert not thread.is_alive()


def foreseen(_context, response, case):
    """No answer is a server error, but that there is no event stream to read: no relay runs here."""
    assert response.status_code < 500 or (response.status_code, case.path) == (503, "/v1/events")


CHECKS = [
    foreseen,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]


@pytest.mark.feature("H28", "T1", "M12", "M35")
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_answer_conforms(served, mode):
    """For each operation, good and bad input alike: no 5xx, and status, media type and body as documented."""
    schema = schemathesis.openapi.from_url(f"{served.url}/openapi.json")
    tried = 0
    for operation in (result.ok() for result in schema.get_all_operations()):

        @profile(
            max_examples=10,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def conforms(case):
            nonlocal tried
            tried += 1
            case.call_and_validate(base_url=served.url, headers=served.headers, checks=CHECKS)

        with contextlib.suppress(Unsatisfiable):  # some take no input that could be bad
            conforms()
    assert tried > 200
