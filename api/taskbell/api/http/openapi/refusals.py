"""The problems that each operation answers, as the OpenAPI document describes them.

Most follow from what an operation reads: a body may be malformed, a cursor of another list. An endpoint names the
others with `refuses`. A test fails when the API answers a problem that its operation does not name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from taskbell.api.http.openapi import headers
from taskbell.contract.problems import MEDIA_TYPE, ProblemCode

CODES = "x-problem-codes"
"""In an answer of the document: the codes that its problem may have."""
OTHERS = (
    ProblemCode.INVALID_REQUEST,
    ProblemCode.REQUEST_TIMEOUT,
    ProblemCode.BODY_TOO_LARGE,
    ProblemCode.HEADERS_TOO_LARGE,
    ProblemCode.INTERNAL,
)
"""What any request may be answered: it is malformed, late or too large, or something went wrong. `default` stands for
these."""
PROBLEM = "#/components/schemas/Problem"
_PREFIX = "#/components/responses/"
_BY_CODE = {code.value.code: code for code in ProblemCode}


def refuses(*codes: ProblemCode) -> dict[int | str, dict[str, Any]]:
    """`responses` of an endpoint that answers these problems, besides those that follow from what it reads."""
    found: dict[int | str, dict[str, Any]] = {}
    for code in codes:
        found.setdefault(code.value.status, {CODES: []})[CODES].append(code.value.code)
    return found


def complete(
    operation: dict[str, Any], *, method: str, path: str, names_workspace: bool, shared: dict[str, Any]
) -> None:
    """Describe all problems of an operation whose parameters and body are described already.

    Each is in `shared` once, by its name: the `components.responses` of the document.
    """
    answers: dict[str, Any] = operation["responses"]
    takes_key = headers.IDEMPOTENCY_KEY in operation.get("parameters", ())
    if CODES not in answers.get("422", ()):
        answers.pop("422", None)  # FastAPI's own
    declared = {_BY_CODE[code] for answer in answers.values() for code in answer.pop(CODES, ())}
    for status in {str(code.value.status) for code in declared}:
        del answers[status]
    for answer in answers.values():
        told = headers.of_answer(signed_in=bool(operation.get("security")), takes_key=takes_key)
        answer["headers"] = answer.get("headers", {}) | told
    codes = declared | set(_implied(operation, method=method, path=path, names_workspace=names_workspace))
    for number in sorted({code.value.status for code in codes}):
        same = sorted(code.value.code for code in codes if code.value.status == number)
        name = "Or".join("".join(map(str.capitalize, code.split("_"))) for code in same)
        described = " ".join(f"`{code}`: {_BY_CODE[code].value.title}." for code in same)
        shared[name] = _answer(described, headers.of_problem(str(number))) | {CODES: same}
        answers[str(number)] = {"$ref": _PREFIX + name}
    names = ", ".join(f"`{code.value.code}` ({code.value.status})" for code in OTHERS)
    shared["Other"] = _answer(f"Another problem, which any request may get: {names}.", headers.of_problem("default"))
    answers["default"] = {"$ref": _PREFIX + "Other"}


def _answer(description: str, told: dict[str, Any]) -> dict[str, Any]:
    content = {MEDIA_TYPE: {"schema": {"$ref": PROBLEM}}}
    return {"description": description, "content": content, "headers": told}


def _implied(operation: dict[str, Any], *, method: str, path: str, names_workspace: bool) -> Iterable[ProblemCode]:
    """What an operation answers because of what it reads."""
    parameters = operation.get("parameters", ())
    content = operation.get("requestBody", {}).get("content", {})
    if path.startswith("/v1/"):
        yield from (ProblemCode.UNAVAILABLE, ProblemCode.TOO_SLOW)
    if operation.get("security"):
        # The first is said of a malformed `Taskbell-Consistency`.
        yield from (ProblemCode.INVALID_REQUEST, ProblemCode.UNAUTHENTICATED, ProblemCode.RATE_LIMITED)
        has_scope = any(needed for way in operation["security"] for needed in way.values())
        yield ProblemCode.INSUFFICIENT_SCOPE if has_scope else ProblemCode.SESSION_REQUIRED
    if content:
        yield from (ProblemCode.VALIDATION_FAILED, ProblemCode.UNSUPPORTED_MEDIA_TYPE, ProblemCode.BODY_TOO_LARGE)
    if "application/json" in content:
        yield ProblemCode.INVALID_JSON
    if headers.IDEMPOTENCY_KEY in parameters:
        yield from (ProblemCode.INVALID_IDEMPOTENCY_KEY, ProblemCode.IDEMPOTENCY_KEY_REUSED)
        yield from (ProblemCode.IDEMPOTENCY_KEY_IN_USE, ProblemCode.ANSWER_NOT_KEPT)
    elif method != "GET" and path.startswith("/v1/"):
        yield from (ProblemCode.IDEMPOTENCY_KEY_NOT_TAKEN, ProblemCode.INVALID_IDEMPOTENCY_KEY)
    if any(each["in"] in {"path", "query"} for each in parameters):
        yield ProblemCode.VALIDATION_FAILED
    if any(each["name"] == "cursor" for each in parameters):
        yield ProblemCode.INVALID_CURSOR
    if names_workspace or any(each["in"] == "path" for each in parameters):
        yield ProblemCode.NOT_FOUND
