"""Every request has an id, is measured by its route, and never tells a secret to the log."""

import re

import pytest
import structlog
from starlette.requests import ClientDisconnect

from taskbell.api.http.observe import Observe
from taskbell.contract.problems import ProblemCode
from taskbell.kit.trace import Tracing


async def test_each_request_has_an_id(api):
    """The id is a trace id, another for each request."""
    ids = {(await api.get("/livez")).headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in ids)


async def test_the_callers_trace_is_continued(api):
    """A traceparent (W3C Trace Context) gives the request its trace id; a malformed one starts a new trace."""
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    answer = await api.get("/livez", headers={"traceparent": f"00-{trace_id}-b7ad6b7169203331-00"})
    assert answer.headers["x-request-id"] == trace_id
    answer = await api.get("/livez", headers={"traceparent": f"00-{trace_id}-nonsense"})
    assert answer.headers["x-request-id"] != trace_id


@pytest.mark.feature("K14", "M47")
async def test_requests_are_measured_by_route_template(api, sign_up):
    """The metric's labels hold the template, not the id a client chose, and unknown methods share one label."""
    ann = await sign_up()
    await api.get(f"/v1/workspaces/{ann.workspace_id}", headers=ann.headers)
    await api.request("BREW", "/nowhere")
    text = (await api.get("/metrics")).text
    assert re.search(
        r'request_duration_seconds_count\{method="GET",route="/v1/workspaces/\{workspace_id\}",status="200"\} [1-9]',
        text,
    )
    assert re.search(r'request_duration_seconds_count\{method="other",route="unmatched",status="404"\} [1-9]', text)
    assert ann.workspace_id not in text
    assert "BREW" not in text


async def test_secrets_do_not_reach_the_log(api, sign_up):
    """Whatever is logged while tokens and passwords pass, none of them is in it."""
    with structlog.testing.capture_logs() as logged:
        ann = await sign_up()
        pair = (await api.post("/v1/auth/refresh", json={"refresh_token": ann.refresh_token})).json()
        await api.post("/v1/auth/refresh", json={"refresh_token": ann.refresh_token})
        await api.post("/v1/auth/login", json={"email": ann.email, "password": "wrong password"})
        await api.get("/v1/me", headers={"Authorization": "Bearer wrong-token"})
        ticket = (await api.post("/v1/realtime/tickets", headers=ann.headers)).json()["ticket"]
    assert [entry["event"] for entry in logged if entry["event"] == "refresh_token_reused"]
    for secret in (ann.password, "wrong password", "wrong-token", ann.refresh_token, ann.access_token, ticket):
        assert secret not in str(logged)
    assert pair["refresh_token"] not in str(logged)


async def _call(application, *, receive=None):
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/x", "headers": []}
    await Observe(application, tracing=Tracing(service="test"), slow=60)(scope, receive, send)
    return sent


async def test_a_failure_becomes_an_answer():
    """When the application raises before it answered, the answer is a 500 problem."""

    async def application(scope, receive, send):
        raise RuntimeError("unforeseen")

    with structlog.testing.capture_logs() as logged:
        sent = await _call(application)
    assert sent[0]["status"] == ProblemCode.INTERNAL.value.status
    assert logged[0]["event"] == "request_failed"


async def test_a_failure_within_an_answer_breaks_it_off():
    """When the answer has begun it cannot be replaced: the server closes the connection."""

    async def application(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("unforeseen")

    with pytest.raises(RuntimeError), structlog.testing.capture_logs():
        await _call(application)


async def test_a_client_that_left_is_no_failure():
    """Nobody is there to answer, and nobody needs to be woken for it."""

    async def application(scope, receive, send):
        raise ClientDisconnect

    with structlog.testing.capture_logs() as logged:
        sent = await _call(application)
    assert sent == []
    assert logged == []
