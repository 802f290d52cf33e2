"""No request makes the API hold more than the limit."""

import contextlib

import pytest

from taskbell.api.http import limits
from taskbell.api.http.limits import BodyLimit, BodyTooLarge

LIMIT = 2048


@pytest.fixture
def overrides():
    """A small limit."""
    return {"max_body_bytes": LIMIT}


async def chunks(count, size=512):
    """A body of unknown length."""
    for _ in range(count):
        yield b" " * size


@pytest.mark.feature("M35")
async def test_an_announced_body_is_refused(api):
    """A Content-Length over the limit is 413; the connection is not used any further."""
    answer = await api.post("/v1/auth/login", content=b"x" * (LIMIT + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert answer.headers["connection"] == "close"


@pytest.mark.feature("M35")
@pytest.mark.parametrize("media_type", ["application/json", "application/x-www-form-urlencoded"])
async def test_a_streamed_body_is_refused_when_it_has_grown_too_long(api, media_type):
    """Without a Content-Length the limit holds for JSON and forms alike."""
    answer = await api.post("/v1/auth/login", content=chunks(100), headers={"Content-Type": media_type})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def arriving(*messages):
    """What the server hands on, one message after the other; nothing comes after the last."""
    for number, body in enumerate(messages, 1):
        yield {"type": "http.request", "body": body, "more_body": number < len(messages)}
    pytest.fail("waits for a message that never comes")


async def read_all(scope, receive, send):
    """An application that reads its body to the end."""
    while (await receive())["more_body"]:
        pass


@pytest.mark.parametrize("length", [b"-1", b"1e3", b"", b"9" * 400, "²".encode("latin-1")])
async def test_a_senseless_length_is_refused(length):
    """What is no decimal number cannot be a length."""
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "path": "/", "headers": [(b"content-length", length)], "method": "POST"}
    await BodyLimit(read_all, limit=LIMIT)(scope, arriving(b"x").__anext__, send)
    assert sent[0]["status"] == 413


@pytest.mark.parametrize("zeros", [19, 20, 5000])
async def test_a_length_with_leading_zeros_is_read_to_its_end(zeros):
    """However many zeros stand before it (RFC 9110, section 8.6: `1*DIGIT`), a length counts with its whole value."""
    statuses = []
    for length in (LIMIT, LIMIT + 1):
        sent = []

        async def send(message, sent=sent):
            sent.append(message)

        async def answer(scope, receive, send):
            await read_all(scope, receive, send)
            await send({"type": "http.response.start", "status": 200})

        headers = [(b"host", b"x"), (b"content-length", b"0" * zeros + b"%d" % length)]
        scope = {"type": "http", "path": "/", "headers": headers, "method": "POST"}
        await BodyLimit(answer, limit=LIMIT)(scope, arriving(b"x" * length).__anext__, send)
        statuses.append(sent[0]["status"])
    assert statuses == [200, 413]


@pytest.mark.parametrize(
    "headers", [[(b"transfer-encoding", b"chunked")], [(b"content-length", b"1")], []], ids=["chunked", "short", "none"]
)
@pytest.mark.parametrize(
    "bodies", [[b"x" * (LIMIT + 1)], [b"x" * LIMIT, b"x"], [b"x" * LIMIT, b"x", b"x" * LIMIT, b""]]
)
async def test_a_body_is_refused_in_whatever_pieces_it_comes(bodies, headers):
    """One byte too many is refused, whatever the head announces: in the first message, the last or between."""
    scope = {"type": "http", "path": "/", "headers": headers, "method": "POST"}
    with pytest.raises(BodyTooLarge):
        await BodyLimit(read_all, limit=LIMIT)(scope, arriving(*bodies).__anext__, None)


async def test_a_client_that_never_stops_is_cut_off(monkeypatch):
    """What is thrown away of a refused body is bounded, and the application is handed none of it."""
    monkeypatch.setattr(limits, "DRAINED_BYTES", 10 * LIMIT)
    taken = 0

    async def receive():
        nonlocal taken
        taken += LIMIT
        return {"type": "http.request", "body": b"x" * LIMIT, "more_body": True}

    scope = {"type": "http", "path": "/", "headers": [(b"transfer-encoding", b"chunked")], "method": "POST"}
    with pytest.raises(BodyTooLarge):
        await BodyLimit(read_all, limit=LIMIT)(scope, receive, None)
    assert taken == 12 * LIMIT


async def test_less_is_accepted_of_anybody():
    """Where no access token is needed, a body has 16 KiB at most, so that unfinished ones take little memory."""
    headers = [(b"transfer-encoding", b"chunked")]
    for path, passes in (("/v1/auth/login", False), ("/v1/tasks", True)):
        scope = {"type": "http", "path": path, "headers": headers, "method": "POST"}
        refused = contextlib.nullcontext() if passes else pytest.raises(BodyTooLarge)
        with refused:
            await BodyLimit(read_all, limit=2**20)(scope, arriving(b"x" * (limits.ANONYMOUS_BYTES + 1)).__anext__, None)


async def test_a_body_within_the_limit_passes(api, sign_up):
    """Exactly the limit is fine, announced or streamed."""
    ann = await sign_up()
    body = b'{"name":"Ann"}'.ljust(LIMIT)

    async def streamed():
        yield body

    for content in (body, streamed()):
        answer = await api.patch("/v1/me", content=content, headers=ann.headers)
        assert answer.status_code == 200
