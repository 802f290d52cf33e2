"""The OpenAPI document says what is permitted as exactly as the API checks it."""

import re
from collections import Counter

import jsonschema
import pytest
from fastapi.routing import APIRoute

from described_answers import resolved
from taskbell.api.app import create_app
from taskbell.api.http.route import DirectRoute, KeylessRoute
from taskbell.api.settings import ApiSettings
from taskbell.kit.ids import new_id

A, B = str(new_id()), str(new_id())
VERBS = {
    "get": {"get", "list"},
    "put": {"set", "replace"},
    "patch": {"update"},
    "delete": {"delete", "end", "remove", "withdraw", "revoke"},
    "post": {
        *("accept", "add", "cancel", "change", "confirm", "create", "decline", "delete", "disable", "enable", "finish"),
        *(
            "invite",
            "leave",
            "mark",
            "move",
            "redeliver",
            "refresh",
            "register",
            "request",
            "reset",
            "restore",
            "revoke",
        ),
        *("rotate", "send", "sign", "start", "test", "transfer", "unsubscribe", "verify"),
    },
}
"""How operation ids begin, by method. A new verb of a POST is added here, if none of these says it."""


@pytest.fixture(scope="module")
def document(signing_keys):
    """The document of an API whose pages have at most 500 items."""
    nowhere = {"database_url": "postgresql://nowhere", "nats_url": "nats://nowhere", "signing_keys": signing_keys}
    return create_app(ApiSettings(**nowhere, max_page_size=500, default_page_size=50)).openapi()


def permits(document, name, value):
    """Whether a schema of the document permits a value."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    return jsonschema.Draft202012Validator(schema).is_valid(value)


def operations(document):
    """The method, the path and the description of each operation."""
    return [(method, path, each) for path, item in document["paths"].items() for method, each in item.items()]


def test_operation_ids_are_a_verb_and_its_object(document):
    """Each operation has an id of its own, in camelCase, whose verb fits its method: generated clients name it so."""
    found = [(method, path, each["operationId"]) for method, path, each in operations(document)]
    wrong = []
    for method, path, identity in found:
        verb, *words = re.findall(r"[A-Z]?[a-z0-9]+", identity)
        if not words or verb not in VERBS[method] or not re.fullmatch(r"[a-z]+([A-Z][a-z0-9]+)+", identity):
            wrong.append(f"{method} {path}: {identity}")
    assert wrong == [], "name the endpoint's function after a verb of VERBS and its object, such as create_task"
    repeated = [each for each, times in Counter(identity for *_, identity in found).items() if times > 1]
    assert repeated == [], "two endpoints' functions have the same name"


def test_every_limit_has_its_maximum(document):
    """The largest page and the default one are told, as the settings have them."""
    limits = {
        (path, parameter["schema"].get("maximum"), parameter["schema"].get("default"))
        for path, operations in document["paths"].items()
        for operation in operations.values()
        for parameter in operation.get("parameters", ())
        if parameter["name"] == "limit"
    }
    assert ("/v1/tasks", 500, 50) in limits
    assert {(most, usual) for path, most, usual in limits if path != "/v1/events"} == {(500, 50)}


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("TaskMove", [{"before": A}, {"after": A, "before": None}], [{}, {"before": A, "after": B}, {"before": None}]),
        (
            "WebhookCreate",
            [{"url": "https://x.example", "event_types": ["*", "task.created"]}],
            [{"url": "https://x.example", "event_types": [name]} for name in ("task.unknown", "notification.read")],
        ),
        ("EmailChannelChange", [{"enabled": True, "kinds": ["assigned"]}], [{"enabled": True, "kinds": ["unknown"]}]),
        (
            "WebhookCreate",
            [{"url": "http://x.example"}],
            [{"url": "x.example"}, {"url": "ftp://x.example"}, {"url": "https://x.example/\x00"}],
        ),
        ("WorkspaceCreate", [{"name": "a\nb"}], [{"name": "a\x00b"}, {"name": ""}]),
        (
            "Credentials",
            [{"password": "p", "email": "a@b.example"}, {"password": "p", "username": "a@b.example", "email": None}],
            [{"password": "p"}, {"password": "p", "email": None}, {"password": "p", "email": "a", "username": "a"}],
        ),
        (
            "NotificationsRead",
            [{"ids": [A]}, {"ids": [A], "all": False}, {"all": True}, {"all": True, "ids": None}],
            [{}, {"all": False}, {"ids": None}, {"ids": [A], "all": True}],
        ),
        ("ProfileChange", [{"time_zone": "Europe/Berlin"}], [{"time_zone": "Europe/Nowhere"}]),
    ],
)
def test_bodies_are_described_exactly(document, name, good, bad):
    """What the document permits is accepted, and what would be refused it forbids."""
    assert [value for value in good if not permits(document, name, value)] == []
    assert [value for value in bad if permits(document, name, value)] == []


_WITHOUT_A_USER = {
    *("/v1/auth/register", "/v1/auth/login", "/v1/auth/refresh", "/v1/auth/logout"),
    *("/v1/auth/second-factor", "/v1/auth/password-reset", "/v1/auth/password-reset/confirm", "/v1/unsubscribe"),
    *("/v1/auth/oidc/{provider}/start", "/v1/auth/oidc/{provider}/finish"),
    *("/v1/auth/oidc/{provider}/start", "/v1/auth/oidc/{provider}/finish"),
}
"""Nobody is signed in there: they take no key."""
_CHANGES = {"post", "patch", "put", "delete"}


def test_no_change_ignores_a_key(signing_keys):
    """Each route that changes something is of a kind that reads `Idempotency-Key`: it takes one, or refuses it."""
    nowhere = {"database_url": "postgresql://nowhere", "nats_url": "nats://nowhere", "signing_keys": signing_keys}
    routes = [route for route in create_app(ApiSettings(**nowhere)).routes if isinstance(route, APIRoute)]
    changing = [route for route in routes if {method.upper() for method in _CHANGES} & route.methods]
    assert len(changing) > 30
    assert [route.path for route in changing if not isinstance(route, DirectRoute | KeylessRoute)] == []


def test_every_change_of_a_user_takes_a_key(document):
    """Each operation that changes something documents `Idempotency-Key`, what it refuses, and the mark of a replay.

    So new operations cannot leave it out: those without a user are named here one by one.
    """
    changes = {
        (method, path): operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if method in _CHANGES
    }
    taking = {
        place
        for place, operation in changes.items()
        if any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", ()))
    }
    assert {path for method, path in changes.keys() - taking} == _WITHOUT_A_USER
    assert len(taking) > 30
    reference = {"$ref": "#/components/headers/Idempotency-Replayed"}
    for place in taking:
        answers = resolved(document, changes[place]["responses"])
        assert {"409", "422"} <= answers.keys(), place
        kept = [answer for status, answer in answers.items() if status[0] == "2" or status in {"409", "422"}]
        assert all(answer["headers"]["Idempotency-Replayed"] == reference for answer in kept), place
    assert document["components"]["headers"]["Idempotency-Replayed"]["schema"]["enum"] == ["true"]
