"""Every error leaves as a problem document (RFC 9457) with a stable code, and tells nothing internal."""

import re

import pytest

from taskbell.contract.problems import MEDIA_TYPE, ProblemCode, Refused

REQUIRED = {"type", "title", "status", "detail", "instance", "code", "request_id"}


def assert_problem(answer, *, status, code):
    """Hold an answer against the form that all problems have."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.headers["cache-control"] == "no-store"
    found = answer.json()
    assert set(found) - {"errors"} == REQUIRED
    assert (found["status"], found["code"]) == (status, code)
    assert found["type"] == f"https://taskbell.dev/problems/{code}"
    assert found["instance"] == answer.request.url.path
    assert found["request_id"] == answer.headers["x-request-id"]
    return found


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "not_found"),
        ("GET", "/v1/me/", 404, "not_found"),
        ("GET", "/%00", 404, "not_found"),
        ("DELETE", "/v1/me", 405, "method_not_allowed"),
        ("PATCH", "/v1/notifications/read", 405, "method_not_allowed"),
        ("BREW", "/v1/me", 405, "method_not_allowed"),
        ("GET", "/v1/me", 401, "unauthenticated"),
    ],
)
async def test_what_no_endpoint_answers(api, method, path, status, code):
    """Unknown paths, methods and callers get the same form as everything else."""
    assert_problem(await api.request(method, path), status=status, code=code)


async def test_a_wrong_method_is_told_the_right_ones(api):
    """405 names the methods that are allowed (RFC 9110, section 15.5.6)."""
    assert (await api.delete("/v1/me")).headers["allow"] == "GET, PATCH"


async def test_a_path_is_not_taken_for_an_id(api):
    """The literal path of another route is no bad id: 405 names its methods."""
    answer = await api.patch("/v1/notifications/read", json={"read": True})
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("method", "path", "body", "near"),
    [
        ("POST", "/v1/tasks", {"title": "t", "due-at": None}, "due_at"),
        ("POST", "/v1/tasks", {"title": "t", "Priorty": 1}, "priority"),
        ("GET", "/v1/tasks?stauts=pending", None, "status"),
        ("GET", "/v1/tasks?page=2", None, None),
        ("POST", "/v1/tasks", {"title": "t", "x" * 1000: 1}, None),
    ],
)
async def test_an_unknown_name_is_told_with_the_near_one(api, sign_up, method, path, body, near):
    """Whoever misspells a field or a parameter reads which one was meant; nothing is guessed where nothing is near."""
    answer = await api.request(method, path, json=body, headers=(await sign_up()).headers)
    (error,) = assert_problem(answer, status=422, code="validation_failed")["errors"]
    assert error["code"] == "extra_forbidden"
    assert error["message"] == "there is no such name" + (f"; did you mean {near}?" if near else "")


@pytest.mark.feature("M35")
@pytest.mark.parametrize("path", ["/v1/tasks/not-a-uuid", "/v1/workspaces/1", "/v1/tasks/%00"])
async def test_a_bad_id_in_the_path_is_named(api, sign_up, path):
    """What cannot be an id is 422, not a server error."""
    answer = await api.get(path, headers=(await sign_up()).headers)
    found = assert_problem(answer, status=422, code="validation_failed")
    assert len(found["errors"]) == 1


async def test_many_errors_are_told_up_to_a_bound(api):
    """A body with a thousand wrong fields gets one error that counts them, and a detail of a few words."""
    answer = await api.post("/v1/auth/login", json={f"field{number}": 1 for number in range(1000)})
    found = assert_problem(answer, status=422, code="validation_failed")
    assert [error["code"] for error in found["errors"]] == ["too_many_errors"]
    assert len(found["detail"]) < 500


async def test_a_pointer_is_escaped(api):
    """Names with a slash or tilde are escaped as JSON Pointers are (RFC 6901)."""
    answer = await api.post("/v1/auth/refresh", json={"refresh_token": "x", "a/b~c": 1})
    assert answer.json()["errors"][0]["pointer"] == "/a~1b~0c"


async def test_an_unforeseen_error_tells_nothing(api, app, monkeypatch):
    """An exception nobody foresaw is a 500 without a word of what happened, and is counted."""

    async def fail(*_args, **_kwargs):
        raise RuntimeError("secret detail")

    monkeypatch.setattr(type(app.state.services.accounts), "sign_in", fail)
    answer = await api.post("/v1/auth/login", json={"email": "a@example.com", "password": "x"})
    found = assert_problem(answer, status=500, code="internal_error")
    assert "secret" not in answer.text
    assert "RuntimeError" not in answer.text
    assert "request id" in found["detail"]


def test_codes_are_stable_words():
    """Every code is a lower-case word of its own, an error status, with a title that is no sentence."""
    codes = [problem.value.code for problem in ProblemCode]
    assert len(set(codes)) == len(codes)
    for problem in ProblemCode:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", problem.value.code)
        assert 400 <= problem.value.status < 600
        assert not problem.value.title.endswith(".")


def test_a_refusals_docstring_is_its_detail():
    """Each kind of refusal explains itself in a sentence for people."""

    def kinds(of):
        for kind in of.__subclasses__():
            yield kind
            yield from kinds(kind)

    found = [kind for kind in kinds(Refused) if kind.__module__.startswith("taskbell.")]
    assert len(found) > 20
    for kind in found:
        first = (kind.__doc__ or "").partition("\n")[0]
        assert first.endswith((".", ">`.")), kind
