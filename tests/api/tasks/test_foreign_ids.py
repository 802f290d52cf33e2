"""Ids of others open nothing: through every route of the OpenAPI document, present ones and those to come."""

from uuid import uuid4

import pytest

_REPORTS = ("throughput", "cycle-time", "overdue", "workload")
_ELSEWHERE = {
    ("get", "/v1/tasks", "last_id"): (400, "invalid_cursor"),
    ("get", "/v1/me/tasks", "last_id"): (400, "invalid_cursor"),
    ("put", "/v1/tasks/{task_id}", "workspace_id"): (422, "validation_failed"),
    **{("get", f"/v1/reports/{name}", "person_id"): (200, None) for name in _REPORTS},
}
"""Ids that name no object to look up: a place in a list, what may only be the task's own workspace, and whose tasks of
the workspace a report counts: a stranger has none.
"""
_ALSO_SENT = {"/v1/tasks/{task_id}/move": "after"}
"""What a body needs beyond its required fields."""
_KINDS = {
    "task_id": "task",
    "before": "task",
    "after": "task",
    "last_id": "task",
    "workspace_id": "workspace",
    "user_id": "user",
    "person_id": "user",
    "notification_id": "notification",
    "webhook_id": "webhook",
    "delivery_id": "delivery",
    "invitation_id": "invitation",
    "comment_id": "comment",
    "device_id": "device",
    "token_id": "token",
    "session_id": "session",
    "bot_id": "bot",
}
"""What an id names. A new kind of id must be added here, and made for both people below."""
_SECRETS = {("/v1/unsubscribe", "token")}
"""What has the form of an id and is a secret from an e-mail: whoever has it need not be signed in."""


def _resolved(document, schema):
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _is_id(schema):
    return schema.get("format") == "uuid" or any(_is_id(each) for each in schema.get("anyOf", ()))


def _sample(schema):
    """A value that a required field accepts."""
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "integer":
        return schema.get("minimum", 1)
    if schema.get("type") == "boolean":
        return True
    if "examples" in schema:
        return schema["examples"][0]
    return {"email": "somebody@example.org", "password": "correct horse battery staple"}.get(
        schema.get("format"), "text"
    )


def _body(document, operation):
    """The schema of an operation's JSON body, or one without fields."""
    content = operation.get("requestBody", {}).get("content", {})
    return _resolved(document, content.get("application/json", {}).get("schema", {}))


def _operations(document):
    for path, item in document["paths"].items():
        for method in ("get", "put", "post", "patch", "delete"):
            if method in item:
                yield method, path, item[method]


def _id_places(document, operation):
    """Where an operation takes ids: (path, query or body; name)."""
    for parameter in operation.get("parameters", ()):
        if parameter["in"] in {"path", "query"} and _is_id(parameter["schema"]):
            yield parameter["in"], parameter["name"]
    for name, schema in _body(document, operation).get("properties", {}).items():
        if _is_id(_resolved(document, schema)):
            yield "body", name


async def _belongings(person):
    """The ids of each kind that a person has; what is asked of `user` is somebody who is no member."""
    tasks = [(await person.create())["id"] for _ in range(2)]
    comment = (await person.request("POST", f"/tasks/{tasks[0]}/comments", json={"body": "Yes"})).json()["id"]
    return {
        "task": tasks[0],
        "other_task": tasks[1],
        "comment": comment,
        "workspace": person.workspace_id,
        "user": person.user_id,
    }


async def _notified(owner, person):
    """The id of a notification that a person has."""
    return await owner.fetchval(
        "INSERT INTO notifications (user_id, kind, workspace_id, title, body) VALUES ($1, 'due_soon', $2, 'T', 'Due')"
        " RETURNING id::text",
        person.user_id,
        person.workspace_id,
    )


async def _webhook(owner, person):
    """The ids of a webhook that a person has, and of a delivery to it."""
    webhook = await owner.fetchval(
        "INSERT INTO webhooks (id, workspace_id, url, event_types, secret)"
        " VALUES (taskbell.new_id(), $1, 'https://hooks.example.com/', '{*}', 's') RETURNING id",
        person.workspace_id,
    )
    delivery = await owner.fetchval(
        "INSERT INTO deliveries (event_id, channel, endpoint_id, workspace_id, event_type, payload, give_up_at)"
        " VALUES ($1, 'webhook', $1, $2, 'task.created', '{}', now()) RETURNING id",
        webhook,
        person.workspace_id,
    )
    return {"webhook": str(webhook), "delivery": str(delivery)}


async def _invitation(owner, person):
    """The id of an invitation that a person made."""
    return await owner.fetchval(
        "INSERT INTO invitations (id, workspace_id, email, role, invited_by, expires_at)"
        " VALUES (taskbell.new_id(), $1, 'guest@example.com', 'member', $2, now() + '1 day') RETURNING id::text",
        person.workspace_id,
        person.user_id,
    )


async def _device(owner, person):
    """The id of a device that a person registered."""
    return await owner.fetchval(
        "INSERT INTO alert_endpoints (id, user_id, kind, address, address_hash)"
        " VALUES (taskbell.new_id(), $1::text::uuid, 'fcm', $1::text, sha256($1::text::bytea)) RETURNING id::text",
        person.user_id,
    )


async def _bot(owner, person):
    """The id of a bot of a person's workspace."""
    return await owner.fetchval(
        "INSERT INTO users (id, email, name, personal_workspace_id, bot_of)"
        " VALUES (taskbell.new_id(), $1::text, 'Bot', $1::text::uuid, $1::text::uuid) RETURNING id::text",
        person.workspace_id,
    )


async def _token(owner, person):
    """The id of a personal access token that a person made."""
    return await owner.fetchval(
        "INSERT INTO personal_tokens (id, user_id, name, scopes, token_hash, expires_at)"
        " VALUES (taskbell.new_id(), $1::text::uuid, 'Program', '{tasks:read}', sha256($1::text::bytea), now())"
        " RETURNING id::text",
        person.user_id,
    )


async def _session(owner, person):
    """The id of another session that a person has."""
    return await owner.fetchval(
        "INSERT INTO sessions (id, user_id, expires_at) VALUES (taskbell.new_id(), $1, now() + '1 day')"
        " RETURNING id::text",
        person.user_id,
    )


async def _call(person, document, operation, *, method, path, own, place=None, identity=None):
    """Call an operation with own ids, but for the one in `place`."""
    where, name = place or (None, None)
    ids = {parameter: own[_KINDS[parameter]] for kind, parameter in _id_places(document, operation) if kind == "path"}
    if where == "path":
        ids[name] = identity
    schema = _body(document, operation)
    body = {field: _sample(_resolved(document, schema["properties"][field])) for field in schema.get("required", ())}
    if path in _ALSO_SENT:
        body[_ALSO_SENT[path]] = own["other_task"]
    if where == "body":
        body = {**{field: value for field, value in body.items() if field not in {"before", "after"}}, name: identity}
    return await person.api.request(
        method.upper(),
        path.format(**ids),
        params={name: identity} if where == "query" else None,
        json=body if schema else None,
        headers=person.authorization,
    )


@pytest.mark.feature("M33", "P4")
async def test_a_foreign_id_is_as_good_as_an_unknown_one(app, ann, bob, owner):
    """Every id of every route, with another user's: 404, never 403, in the very words for an id that does not exist."""
    document = app.openapi()
    own, foreign = await _belongings(ann), await _belongings(bob)
    own["notification"], foreign["notification"] = await _notified(owner, ann), await _notified(owner, bob)
    own, foreign = own | await _webhook(owner, ann), foreign | await _webhook(owner, bob)
    own["invitation"], foreign["invitation"] = await _invitation(owner, ann), await _invitation(owner, bob)
    own["device"], foreign["device"] = await _device(owner, ann), await _device(owner, bob)
    own["bot"], foreign["bot"] = await _bot(owner, ann), await _bot(owner, bob)
    own["token"], foreign["token"] = await _token(owner, ann), await _token(owner, bob)
    own["session"], foreign["session"] = await _session(owner, ann), await _session(owner, bob)
    tried, wrong = set(), []
    for method, path, operation in _operations(document):
        for place in _id_places(document, operation):
            if (path, place[1]) in _SECRETS:
                continue
            call = {"method": method, "path": path, "own": own, "place": place}
            answers = []
            for identity in (foreign[_KINDS[place[1]]], str(uuid4())):
                answer = await _call(ann, document, operation, identity=identity, **call)
                told = answer.json()
                answers.append((answer.status_code, {**told, "request_id": "", "instance": ""}))
            expected = _ELSEWHERE.get((method, path, place[1]), (404, "not_found"))
            got = (answers[0][0], answers[0][1].get("code"))
            tried.add((method, path, place[1]))
            if got != expected or answers[0] != answers[1]:
                wrong.append((method, path, place, answers))
    assert wrong == []
    assert tried >= set(_ELSEWHERE)
    assert len(tried) >= 14
    assert (await bob.get(foreign["task"]))["version"] == 1
    assert len(await bob.everything()) == 2


async def test_own_ids_are_accepted(app, ann):
    """The calls above are refused for their foreign id alone: with own ids the task routes answer."""
    document = app.openapi()
    for method, path, operation in _operations(document):
        if path.startswith("/v1/tasks"):
            own = await _belongings(ann)
            for place in (None, *_id_places(document, operation)):
                if place and place[0] != "path" and place[1] not in {"workspace_id", "last_id"}:
                    continue
                identity = own[_KINDS[place[1]]] if place else None
                arguments = {"method": method, "path": path, "own": own, "place": place, "identity": identity}
                answer = await _call(ann, document, operation, **arguments)
                assert answer.status_code in {200, 201, 204}, (method, path, place, answer.text)
                if method == "delete":
                    own = await _belongings(ann)


@pytest.mark.feature("P4", "M33")
async def test_a_viewer_reads_and_changes_nothing(app, ann, bob, join, events):
    """Under the role viewer every reading task route answers, every writing one says 403 and leaves no trace.

    How a viewer follows a task is the viewer's own, and changes nothing for others.
    """
    await join(ann, bob, "viewer")
    document = app.openapi()
    shared = await _belongings(bob)
    before = (await bob.everything(), len(await events()))
    verdicts = {}
    for method, path, operation in _operations(document):
        if path.startswith("/v1/tasks") and not path.endswith("/subscription"):
            places = list(_id_places(document, operation))
            place = next((each for each in places if each[1] in {"task_id", "workspace_id"}), None)
            identity = shared[_KINDS[place[1]]]
            arguments = {"method": method, "path": path, "own": shared, "place": place, "identity": identity}
            answer = await _call(ann, document, operation, **arguments)
            verdicts[method, path] = (answer.status_code, answer.json().get("code"))
    assert verdicts == {
        (method, path): (200, None) if method == "get" else (403, "forbidden") for method, path in verdicts
    }
    assert len(verdicts) >= 11
    assert (await bob.everything(), len(await events())) == before
    assert (await ann.page(workspace_id=bob.workspace_id))["items"] == before[0]


@pytest.mark.feature("P4")
@pytest.mark.parametrize("role", ["owner", "admin", "member"])
async def test_a_member_changes_the_tasks_of_others(ann, bob, join, role):
    """Every role but viewer may create, change, move and delete in the shared workspace."""
    await join(ann, bob, role)
    first, second = [await bob.create() for _ in range(2)]
    path = f"/tasks/{first['id']}"
    changed = await ann.request("PATCH", path, json={"title": "changed by Ann"})
    assert (changed.status_code, changed.json()["created_by"]) == (200, bob.user_id)
    assert (await ann.request("POST", f"{path}/move", json={"after": second["id"]})).status_code == 200
    assert (await ann.request("DELETE", path)).status_code == 204
    made = await ann.create(workspace_id=bob.workspace_id)
    assert await bob.everything() == [second, made]


async def test_who_leaves_sees_nothing_more(ann, bob, join, owner, problem):
    """With the membership ends everything it opened, at once and in both lists."""
    await join(ann, bob, "member")
    task = await ann.create(workspace_id=bob.workspace_id)
    await owner.execute(
        "DELETE FROM memberships WHERE user_id = $1 AND workspace_id = $2", ann.user_id, bob.workspace_id
    )
    problem(await ann.request("GET", f"/tasks/{task['id']}"), 404, "not_found")
    problem(await ann.request("GET", "/tasks", params={"workspace_id": bob.workspace_id}), 404, "not_found")
    assert (await ann.page("/me/tasks"))["items"] == []


async def test_an_empty_workspace_of_ones_own_is_no_error(ann, bob, join):
    """An empty list is empty, not missing, where the caller is a member."""
    await join(ann, bob, "viewer")
    for workspace in (ann.workspace_id, bob.workspace_id):
        assert (await ann.page(workspace_id=workspace))["items"] == []
        assert (await ann.page(workspace_id=workspace, status="completed"))["items"] == []
