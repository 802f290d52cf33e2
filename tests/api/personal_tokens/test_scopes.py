"""Scopes: generated from the OpenAPI document, every operation with and without its scope."""

import re
from uuid import uuid4

import pytest

from taskbell.api.scopes import policy
from taskbell.contract.scopes import Scope, granted

_METHODS = ("get", "put", "post", "patch", "delete")


def _operations(document):
    """Every operation that needs a sign-in, with its template."""
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item and item[method].get("security"):
                yield method.upper(), path, item[method]


def _call(api, method, path, headers):
    """Call an operation with ids of nothing and a body without a field."""
    filled = re.sub(r"\{\w+\}", lambda _: str(uuid4()), path)
    body = {} if method in {"POST", "PUT", "PATCH"} else None
    return api.request(method, filled, json=body, headers=headers)


@pytest.mark.feature("M37")
async def test_every_operation_wants_its_scope(app, api, ann, make_token, bearer):
    """Without its scope, though with all others, a token gets 403 and is told which; with it alone it gets no 403."""
    tokens = {}
    for scope in Scope:
        others = [other for other in Scope if scope not in granted([other])]
        tokens[scope] = (await make_token(ann, scope), await make_token(ann, *others))
    tried = 0
    for method, path, _ in _operations(app.openapi()):
        scope = policy.needed(method, path)
        if scope is None:
            continue
        tried += 1
        enough, lacking = tokens[scope]
        refused = await _call(api, method, path, bearer(lacking))
        assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope"), (method, path)
        assert refused.headers["www-authenticate"] == f'Bearer error="insufficient_scope", scope="{scope}"'
        answer = await _call(api, method, path, bearer(enough))
        assert answer.status_code not in {401, 403}, (method, path, answer.text)
    assert tried == len(policy.SCOPES) > 50


async def test_a_token_with_every_scope_touches_no_safety_of_the_account(app, api, ann, make_token, bearer):
    """Passwords, e-mail addresses, sessions and tokens: 403 `session_required`, whatever the token may do."""
    token = await make_token(ann, *Scope)
    tried = 0
    for method, path, _ in _operations(app.openapi()):
        if f"{method} {path}" in policy.SESSION_ONLY:
            tried += 1
            answer = await _call(api, method, path, bearer(token))
            assert (answer.status_code, answer.json()["code"]) == (403, "session_required"), (method, path)
    assert tried == len(policy.SESSION_ONLY)
    assert (await api.get("/v1/tokens", headers=ann.headers)).json()["items"][0]["id"] == token["id"]


async def test_a_scope_gives_no_more_than_the_role(api, ann, sign_up, make_token, bearer):
    """A token with all scopes finds nothing in a workspace that its user does not belong to."""
    bob = await sign_up()
    token = await make_token(ann, *Scope)
    answer = await api.get("/v1/tasks", params={"workspace_id": bob.workspace_id}, headers=bearer(token))
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_the_document_tells_each_scope(app):
    """The requirement of each operation names its scope, as OpenAPI 3.1 has it, and so does its description."""
    for method, path, operation in _operations(app.openapi()):
        scope = policy.needed(method, path)
        told = [requirement["bearer"] for requirement in operation["security"] if "bearer" in requirement]
        assert told == [[] if scope is None else [scope]], (method, path)
        assert (f"`{scope}`" if scope else "session") in operation["description"]
