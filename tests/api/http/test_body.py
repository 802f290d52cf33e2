"""Bodies are read strictly, and any bytes at all are read or refused in order."""

import contextlib
import json
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskbell.api.http.body import NO_NUL, BodyNotJson, BodyNotValid, Name, RequestBody, parse_body


class Sample(RequestBody):
    """A body with one field of each kind."""

    name: Name
    note: Annotated[str, NO_NUL] | None = None
    count: int = 0


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(raw):
    """Whatever bytes arrive, the outcome is a body or one of the two refusals."""
    with contextlib.suppress(BodyNotJson, BodyNotValid):
        assert isinstance(parse_body(Sample, raw), Sample)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@given(json_values)
def test_any_json_is_read_or_refused(value):
    """JSON of any shape is a body or has wrong fields; no value of another type is coerced."""
    raw = json.dumps(value).encode("utf-8", "surrogatepass")
    with contextlib.suppress(BodyNotValid):
        assert parse_body(Sample, raw).name == value["name"].strip()


@given(st.text(max_size=300))
def test_a_name_is_kept_without_space_around_it(text):
    """Names are 1 to 255 characters, not blank, without U+0000."""
    raw = json.dumps({"name": text}).encode()
    good = 0 < len(text) <= 255 and text.strip() and "\x00" not in text
    if good:
        assert parse_body(Sample, raw).name == text.strip()
    else:
        with pytest.raises(BodyNotValid):
            parse_body(Sample, raw)


@pytest.mark.parametrize("raw", [b"", b"{", b"nul", b'{"name":"a"} x', b"\xff", b"[" * 10_000, b'"\xed\xa0\x80"'])
def test_what_is_no_json(raw):
    """Broken, endless or badly encoded text has its own code."""
    with pytest.raises(BodyNotJson):
        parse_body(Sample, raw)


@pytest.mark.parametrize(
    "body", [{"name": 1}, {"name": "a", "count": "1"}, {"name": "a", "count": 1.0}, {"name": "a", "x": 1}, {}]
)
def test_nothing_is_coerced_or_ignored(body):
    """A value of another type and a field nobody asked for are refused."""
    with pytest.raises(BodyNotValid):
        parse_body(Sample, json.dumps(body).encode())


@pytest.mark.feature("M35")
async def test_many_wrong_fields_are_counted_not_told(api, sign_up):
    """Up to 50 wrong fields get one error each; the rest get one error with their number."""
    ann = await sign_up()
    for count, told in ((49, 50), (50, 1), (80_000, 1)):  # one more is missing
        body = b"{" + b",".join(b'"k%d":0' % number for number in range(count)) + b"}"
        answer = await api.post("/v1/tasks", content=body, headers=ann.headers)
        errors = answer.json()["errors"]
        assert (answer.status_code, len(errors)) == (422, told)
    assert errors[0]["code"] == "too_many_errors"
    assert errors[0]["message"].startswith("8000")


@pytest.mark.parametrize(
    ("path", "content", "media_type"),
    [
        ("/v1/tasks", json.dumps({"k" * 900_000: 1}), "application/json"),
        ("/v1/auth/login", "&".join(["k" * 4_000 + "=1"] * 2), "application/x-www-form-urlencoded"),
    ],
)
async def test_an_answer_does_not_repeat_what_is_long(api, sign_up, path, content, media_type):
    """A name of any length is cut where an error quotes it."""
    ann = await sign_up()
    answer = await api.post(path, content=content, headers={"Content-Type": media_type, **ann.headers})
    assert answer.status_code == 422
    assert max(len(error["pointer"]) for error in answer.json()["errors"]) == 200
    assert len(answer.content) < 5_000


@pytest.mark.parametrize(
    ("media_type", "status"),
    [
        ("application/json; charset=utf-8", 401),
        ("APPLICATION/JSON", 401),
        ("application/merge-patch+json", 401),
        ("text/plain", 415),
        ("", 415),
        ("application/xml", 415),
    ],
)
async def test_the_media_type_must_be_json(api, media_type, status):
    """JSON by any of its names is read; a body of another type is refused before it is read."""
    body = b'{"email":"a@example.com","password":"x"}'
    answer = await api.post("/v1/auth/login", content=body, headers={"Content-Type": media_type})
    assert answer.status_code == status


async def test_a_body_without_a_type_is_taken_for_json(api):
    """The only thing it can be."""
    request = api.build_request("POST", "/v1/auth/refresh", content=b'{"refresh_token":"x"}')
    assert "content-type" not in request.headers
    assert (await api.send(request)).status_code == 401
