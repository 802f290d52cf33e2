"""Bad input: each kind is answered with a problem document of a stable code, and nothing is written."""

import json
from datetime import datetime

import httpx
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from taskbell.local import db

# One API for all: what is sent here leaves nothing behind but rows of the account that sent it.
pytestmark = [
    pytest.mark.feature("M35"),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("bad-input"),
]

_JSON = {"content-type": "application/json"}
_RELAXED = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(serving):
    """The API and its database."""
    async with serving() as both:
        yield both


@pytest.fixture
def api(served):
    """A client of it."""
    return served[0]


@pytest.fixture
def events(served, ann):
    """Reads the events of Ann's tasks."""

    async def read():
        async with db.connected(served[1].owner_url) as connection:
            query = "SELECT id FROM events WHERE type LIKE 'task.%' AND workspace_id = $1"
            return await connection.fetch(query, ann.workspace_id)

    return read


@pytest_asyncio.fixture(loop_scope="module")
async def ann(person):
    """A person."""
    return await person()


_NOT_JSON = ("invalid_json", "", "json_invalid")
_BODIES = {
    "nothing": (b"", 400, *_NOT_JSON),
    "half": (b"{", 400, *_NOT_JSON),
    "trailing comma": (b'{"title":"t",}', 400, *_NOT_JSON),
    "two documents": (b'{"title":"t"}{}', 400, *_NOT_JSON),
    "single quotes": (b"{'title':'t'}", 400, *_NOT_JSON),
    "no utf-8": (b'{"title":"\xff"}', 400, *_NOT_JSON),
    "utf-16": ('{"title":"t"}'.encode("utf-16"), 400, *_NOT_JSON),
    "byte order mark": (b'\xef\xbb\xbf{"title":"t"}', 400, *_NOT_JSON),
    "bare NUL": (b'{"title":"a\x00b"}', 400, *_NOT_JSON),
    "bare line feed": (b'{"title":"a\nb"}', 400, *_NOT_JSON),
    "lone high surrogate": (rb'{"title":"\ud800"}', 400, *_NOT_JSON),
    "lone low surrogate": (rb'{"title":"x\udc00y"}', 400, *_NOT_JSON),
    "lone surrogate in a name": (rb'{"title":"t","\ud800":1}', 400, *_NOT_JSON),
    "deep arrays": (b'{"title":' + b"[" * 100_000, 400, *_NOT_JSON),
    "deep objects": (b'{"title":' * 20_000, 400, *_NOT_JSON),
    "deep and closed": (b'{"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}", 400, *_NOT_JSON),
    "a form": (b"title=t", 400, *_NOT_JSON),
    "a list": (b"[]", 422, "validation_failed", "", "model_type"),
    "a text": (b'"t"', 422, "validation_failed", "", "model_type"),
    "null": (b"null", 422, "validation_failed", "", "model_type"),
    "no title": (b"{}", 422, "validation_failed", "/title", "missing"),
    "unknown field": (b'{"title":"t","colour":1}', 422, "validation_failed", "/colour", "extra_forbidden"),
    "read-only field": (b'{"title":"t","version":1}', 422, "validation_failed", "/version", "extra_forbidden"),
    "odd field name": (b'{"title":"t","a/b~c":1}', 422, "validation_failed", "/a~1b~0c", "extra_forbidden"),
}
_FIELDS = [
    ("title", "", "string_too_short"),
    ("title", " \t\u2003", "blank"),
    ("title", "x" * 256, "string_too_long"),
    ("title", "x" * 300, "string_too_long"),
    ("title", "🥛" * 256, "string_too_long"),
    ("title", "a\0b", "nul_character"),
    ("title", None, "string_type"),
    ("title", 5, "string_type"),
    ("title", ["t"], "string_type"),
    ("description", "x" * 20_001, "string_too_long"),
    ("description", "\0", "nul_character"),
    ("description", 5, "string_type"),
    ("status", "done", "enum"),
    ("status", "pending\0", "enum"),
    ("status", "PENDING", "enum"),
    ("status", 1, "enum"),
    ("priority", 11, "less_than_equal"),
    ("priority", 0, "greater_than_equal"),
    ("priority", -1, "greater_than_equal"),
    ("priority", 2**31, "less_than_equal"),
    ("priority", 2**63, "less_than_equal"),
    ("priority", -(10**30), "greater_than_equal"),
    ("priority", 10**4000, "less_than_equal"),
    ("priority", "5", "int_type"),
    ("priority", True, "int_type"),
    ("workspace_id", "7", "uuid_parsing"),
    ("workspace_id", "\0", "uuid_parsing"),
    ("workspace_id", 7, "uuid_type"),
]
_INSTANTS = [
    ("2027-01-01T00:00:00", "timezone_aware"),
    ("2027-01-01", "datetime_format"),
    ("tomorrow", "datetime_format"),
    ("1798761600", "datetime_format"),
    (1798761600, "datetime_format"),
    (1.5, "datetime_format"),
    ("", "datetime_format"),
    ("2027-01-01T00:00:00Z\0", "datetime_from_date_parsing"),
    ("2027-13-01T00:00:00Z", "datetime_from_date_parsing"),
    ("2027-02-30T00:00:00Z", "datetime_from_date_parsing"),
    ("2027-01-01T25:00:00Z", "datetime_from_date_parsing"),
    ("2027-01-01T00:00:00+25:00", "datetime_from_date_parsing"),
    ("0000-01-01T00:00:00Z", "datetime_from_date_parsing"),
    ("0001-01-01T00:00:00+23:59", "datetime_range"),
    ("1969-12-31T23:59:59Z", "datetime_range"),
    ("2200-01-01T00:00:00Z", "datetime_range"),
    ("9999-12-31T23:59:59-23:59", "datetime_range"),
]
_CODES = {"datetime_from_date_parsing": {"datetime_from_date_parsing", "datetime_parsing"}}


async def _send(person, body, *, headers=None, method="POST", path="/tasks"):
    return await person.request(method, path, content=body, headers=_JSON | (headers or {}))


@pytest.mark.parametrize("name", _BODIES)
async def test_a_bad_body_is_told(ann, problem, events, name):
    """Text that is no JSON, or JSON of another shape, is refused with the place and the rule."""
    body, status, code, pointer, rule = _BODIES[name]
    found = problem(await _send(ann, body), status, code)
    assert (pointer, rule) in [(error["pointer"], error["code"]) for error in found["errors"]]
    assert await events() == []


@pytest.mark.parametrize(("field", "value", "rule"), _FIELDS, ids=lambda value: str(value)[:20].replace("\0", "NUL"))
async def test_a_bad_field_is_told(ann, problem, field, value, rule):
    """Each rule of each field, by creating, replacing and changing."""
    task = await ann.create()
    path = f"/tasks/{task['id']}"
    for method, where in (("POST", "/tasks"), ("PUT", path), ("PATCH", path)):
        if method == "PATCH" and field == "workspace_id":
            continue
        answer = await _send(ann, json.dumps({"title": "t"} | {field: value}), method=method, path=where)
        errors = problem(answer, 422, "validation_failed")["errors"]
        assert [(error["pointer"], error["code"]) for error in errors] == [(f"/{field}", rule)]
        assert len(answer.content) < 2000, "what was sent is not sent back"
    assert await ann.everything() == [task]


@pytest.mark.parametrize("field", ["start_at", "due_at"])
@pytest.mark.parametrize(("value", "rule"), _INSTANTS, ids=lambda value: str(value)[:25].replace("\0", "NUL"))
async def test_a_naive_or_absurd_date_is_told(ann, problem, field, value, rule):
    """An instant is RFC 3339 with an offset, of a real day between 1970 and 2199."""
    answer = await _send(ann, json.dumps({"title": "t", field: value}))
    ((pointer, code),) = [
        (error["pointer"], error["code"]) for error in problem(answer, 422, "validation_failed")["errors"]
    ]
    assert pointer == f"/{field}"
    assert code in _CODES.get(rule, {rule})


async def test_many_errors_are_bounded(ann, problem):
    """When more than 50 values are wrong, one error counts them."""
    answer = await _send(ann, json.dumps({f"f{number}": 1 for number in range(5000)}))
    (error,) = problem(answer, 422, "validation_failed")["errors"]
    assert (error["code"], error["message"]) == ("too_many_errors", "5001 values are not valid")


async def test_of_a_name_given_twice_the_last_counts(ann):
    """Duplicate names are legal JSON (RFC 8259, section 4): the last one counts, as most parsers have it."""
    answer = await _send(ann, b'{"title":"a","title":"b","priority":99,"priority":1}')
    assert (answer.status_code, answer.json()["title"], answer.json()["priority"]) == (201, "b", 1)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "\x80", "json"]
)
@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
async def test_another_media_type_is_refused(ann, problem, kind, method):
    """A body that is announced as something else than JSON is not guessed at."""
    task = await ann.create()
    path = "/tasks" if method == "POST" else f"/tasks/{task['id']}"
    headers = {"content-type": kind.encode("latin-1")}
    problem(
        await _send(ann, b'{"title":"t"}', headers=headers, method=method, path=path), 415, "unsupported_media_type"
    )


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "Application/JSON", "application/merge-patch+json"]
)
async def test_json_has_several_names(ann, kind):
    """Parameters, capitals and `+json` types are JSON, too."""
    assert (await _send(ann, b'{"title":"t"}', headers={"content-type": kind})).status_code == 201


async def _chunks(total, size=65_536):
    yield b'{"title":"'
    for _ in range(total // size):
        yield b"x" * size
    yield b'"}'


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
@pytest.mark.parametrize("announced", [True, False])
async def test_a_huge_body_is_refused(ann, problem, events, method, announced):
    """10 MB are refused with 413 by their announced length, or in chunks as soon as they are too many."""
    task = await ann.create()
    path = "/tasks" if method == "POST" else f"/tasks/{task['id']}"
    body = b'{"title":"' + b"x" * 10_000_000 + b'"}' if announced else _chunks(10_000_000)
    answer = await _send(ann, body, method=method, path=path)
    if method == "DELETE" and not announced:
        assert answer.status_code == 204, "a body that nobody reads does no harm"
    else:
        problem(answer, 413, "body_too_large")
        assert len(await events()) == 1


async def test_a_body_of_the_largest_size_is_read(ann, problem):
    """The bound is on bytes over 1 MiB: just at it the body is read and judged by its content."""
    padding = 1_048_576 - len(b'{"title":""}')
    for body in (b'{"title":"' + b"x" * padding + b'"}', _chunks(1_048_576 - 65_536)):
        problem(await _send(ann, body), 422, "validation_failed")
    problem(await _send(ann, b'{"title":"' + b"x" * (padding + 1) + b'"}'), 413, "body_too_large")


_QUERIES = [
    "status=done",
    "status=%00",
    "status=pending%00",
    "status=pending&status=done",
    "status=" + "&status=".join(["pending"] * 5),
    "priority=0",
    "priority=11",
    "priority=x",
    "priority=1.5",
    "priority=" + "9" * 5000,
    "priority=%D9%A1%00",
    "priority_min=0",
    "priority_max=11",
    "due_before=2027-01-01",
    "due_before=2027-01-01T00:00:00",
    "due_after=9999-01-01T00:00:00Z",
    "due_after=0001-01-01T00:00:00%2B23:59",
    "updated_since=yesterday",
    "updated_since=%00",
    "sort=title",
    "sort=--priority",
    "sort=%00",
    "sort_by_priority=perhaps",
    "last_id=7",
    "last_id=%00",
    "workspace_id=7",
    "limit=1073741824",
    "limit=1GB",
    "limit=-1",
    "limit=",
    "limit=%00",
    "limit=5&limit=6",
    "cursor=" + "x" * 513,
    "cursor=a&cursor=b",
    "colour=red",
    "%00=1",
    "offset=5",
    "=",
    "%ED%A0%80=1",
]


@pytest.mark.parametrize("query", _QUERIES, ids=lambda query: query[:30])
async def test_a_bad_parameter_is_told(ann, problem, query):
    """Every parameter is checked, and one that is unknown or given twice is no parameter."""
    found = problem(await ann.request("GET", f"/tasks?{query}"), 422, "validation_failed")
    assert len(json.dumps(found)) < 8000
    for error in found.get("errors", ()):
        assert error["pointer"].startswith("?")


@pytest.mark.parametrize("cursor", ["abc", "%00", "%ff", "W10", "é", "bnVsbA", "eA" * 200, "=", "%ED%A0%80"])
async def test_a_bad_cursor_is_told(ann, problem, cursor):
    """A cursor that was not given out by this list has its own code."""
    problem(await ann.request("GET", f"/tasks?cursor={cursor}"), 400, "invalid_cursor")


@pytest.mark.parametrize("identity", ["7", "%00", "a%00b", "%ff", "null", "0" * 5000, "{0}%00", "{0}x", " "])
@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
async def test_a_bad_id_in_the_path_is_told(ann, problem, identity, method):
    """A path that holds no UUID is refused as such, not looked up; even with the id of a real task in it."""
    task = await ann.create()
    sent = {} if method in {"GET", "DELETE"} else {"json": {"title": "new"}}
    answer = await ann.request(method, f"/tasks/{identity.format(task['id'])}", **sent)
    (error,) = problem(answer, 422, "validation_failed")["errors"]
    assert error["code"] == "uuid_parsing"
    assert await ann.everything() == [task]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "PURGE"])
async def test_another_method_is_refused(ann, problem, method):
    """A known path with a method it does not have answers 405 with what it has."""
    answer = await ann.request(method, "/me/tasks")
    problem(answer, 405, "method_not_allowed")
    assert "GET" in answer.headers["allow"]


async def test_an_unknown_path_is_told(ann, problem):
    """A path that is none, also one with NUL bytes, is a problem document, too."""
    for path in ("/nothing", "/tasks/", "/tasks%00", "/tasks/x/y/z", "/%ff%fe"):
        problem(await ann.request("GET", path), 404, "not_found")


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=5), each, max_size=3),
    max_leaves=6,
)
_INSTANT = st.datetimes(
    min_value=datetime.fromisoformat("1960-01-01"),
    max_value=datetime.fromisoformat("2210-01-01"),
    timezones=st.timezones(),
).map(datetime.isoformat)
_TEXT = st.text(max_size=300) | st.text(st.characters(max_codepoint=0x1F), max_size=5) | st.just("x" * 255)
_FIELDS_OF_A_TASK = {
    "title": _TEXT | _ANYTHING,
    "description": _TEXT | _ANYTHING,
    "status": st.sampled_from(["pending", "in_progress", "completed", "cancelled"]) | _ANYTHING,
    "priority": st.integers(-1, 12) | _ANYTHING,
    "start_at": _INSTANT | _ANYTHING,
    "due_at": _INSTANT | _ANYTHING,
}
_LIKELY = st.fixed_dictionaries(
    {"title": st.text(min_size=1, max_size=255)},
    optional={name: values for name, values in _FIELDS_OF_A_TASK.items() if name != "title"},
)


def _same(sent, got):
    """Whether a field came back as it was sent; instants by the instant they name."""
    if isinstance(got, str) and got.endswith("Z") and sent != got:
        return datetime.fromisoformat(sent) == datetime.fromisoformat(got)
    return sent == got and type(sent) is type(got)


async def _judge(person, problem, answer, body):
    """A 2xx holds exactly what was sent and is what GET tells; anything else is a 400 or 422 with a code."""
    if answer.is_success:
        task = answer.json()
        assert all(_same(value, task[name]) for name, value in body.items() if name in _FIELDS_OF_A_TASK)
        read = await person.request("GET", f"/tasks/{task['id']}")
        assert read.content == answer.content
    else:
        assert answer.status_code in {400, 422}
        problem(answer, answer.status_code, "invalid_json" if answer.status_code == 400 else "validation_failed")


@_RELAXED
@given(body=_LIKELY | st.fixed_dictionaries({}, optional=_FIELDS_OF_A_TASK) | _ANYTHING)
@example(body={"title": "\x7f\x80\u2028\ufeff\ufffe\U0010ffff"})
@example(body={"title": "t", "due_at": "2027-01-01T00:00:00.123456+05:45"})
async def test_any_body_is_kept_exactly_or_refused(ann, problem, body):
    """Whatever JSON is sent: never an error of the server; a 201 gives back exactly what was sent."""
    answer = await _send(ann, json.dumps(body))
    await _judge(ann, problem, answer, body if isinstance(body, dict) else {})


@_RELAXED
@given(body=st.fixed_dictionaries({}, optional=_FIELDS_OF_A_TASK) | _ANYTHING, method=st.sampled_from(["PATCH", "PUT"]))
async def test_any_change_is_kept_exactly_or_refused(ann, problem, body, method):
    """The same for changes of a task."""
    task = await ann.create()
    answer = await _send(ann, json.dumps(body), method=method, path=f"/tasks/{task['id']}")
    await _judge(ann, problem, answer, body if isinstance(body, dict) else {})


@_RELAXED
@given(body=st.binary(max_size=60) | st.text(alphabet='{}[]":,\\u0d8ntitle 1e', max_size=40).map(str.encode))
async def test_any_bytes_are_no_error_of_the_server(ann, problem, body):
    """Bytes that are hardly ever JSON are refused with a code."""
    answer = await _send(ann, body)
    await _judge(ann, problem, answer, {})


_NAMES = st.sampled_from(
    ["limit", "cursor", "last_id", "status", "priority", "sort", "due_before", "workspace_id", "x"]
)


@_RELAXED
@given(params=st.lists(st.tuples(_NAMES, st.text(max_size=12) | st.integers().map(str)), max_size=4))
async def test_any_query_is_answered_or_refused(ann, problem, params):
    """Whatever parameters are sent, a list answers with a page, 404 for a workspace, or a refusal with a code."""
    query = str(httpx.QueryParams(params))
    may_be_missing = any(name == "workspace_id" for name, _ in params)
    for path in ("/tasks", "/me/tasks"):
        answer = await ann.request("GET", f"{path}?{query}")
        codes = {400: "invalid_cursor", 422: "validation_failed"} | ({404: "not_found"} if may_be_missing else {})
        if answer.status_code != 200:
            problem(answer, answer.status_code, codes.get(answer.status_code))
