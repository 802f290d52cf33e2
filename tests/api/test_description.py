"""The OpenAPI document is whole, and has only shapes that generators of clients take."""

import json
import re

import jsonschema
import pytest

from described_answers import resolved
from taskbell.api.http.openapi import headers, refusals, samples, shapes
from taskbell.contract.events import EventType
from taskbell.contract.problems import ProblemCode
from taskbell.contract.webhooks import TEST_TYPE, is_shared
from taskbell.local.commands import openapi

SCHEMA_PLACES = {"schema", "items", "additionalProperties"}


@pytest.fixture(scope="module")
def document():
    """The document with the usual settings, as clients read it."""
    return json.loads(openapi.text())


def operations(document, *, webhooks=False):
    """Each operation by its id."""
    items = [*document["paths"].values(), *(document["webhooks"].values() if webhooks else ())]
    return {
        operation["operationId"]: operation | {"responses": resolved(document, operation["responses"])}
        for item in items
        for operation in item.values()
    }


def schemas_in(part, place):
    """Every schema in a part of the document, with its place."""
    if isinstance(part, list):
        for number, each in enumerate(part):
            yield from schemas_in(each, f"{place}/{number}")
    elif isinstance(part, dict):
        for key, value in part.items():
            if key in {"properties", "schemas"}:
                for name, schema in value.items():
                    yield f"{place}/{key}/{name}", schema
            elif key in SCHEMA_PLACES and isinstance(value, dict):
                yield f"{place}/{key}", value
            if key not in {"example", "examples", "if", "then", "else"}:
                yield from schemas_in(value, f"{place}/{key}")


def test_every_schema_has_a_shape_that_generators_take(document):
    """No `anyOf` with null, no title, no object without a name, and no name that is none in code."""
    wrong = []
    found = list(schemas_in(document, ""))
    for place, schema in found:
        if {"type": "null"} in schema.get("anyOf", ()):
            wrong.append(f"{place}: `shapes` knows no form of this")
        if isinstance(schema.get("title"), str):
            wrong.append(f"{place}: a title names a type, and names clash")
        is_nullable = "null" in schema.get("type", ())  # its name is made of where it is
        if "properties" in schema and not is_nullable and not re.fullmatch(r"/components/schemas/\w+", place):
            wrong.append(f"{place}: give the object a model, and so a name")
        if not {"type", "$ref", "anyOf", "oneOf", "allOf"} & set(schema) and schema != {}:
            wrong.append(f"{place}: say its type")
    assert wrong == []
    assert len(found) > 300
    names = document["components"]["schemas"]
    assert [name for name in names if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", name)] == []
    assert len({name.lower() for name in names}) == len(names)


@pytest.mark.parametrize(
    ("schema", "wanted"),
    [
        ({"anyOf": [{"type": "string", "minLength": 1}, {"type": "null"}], "default": None, "title": "Name"}, None),
        ({"anyOf": [{"enum": ["a"], "type": "string"}, {"type": "null"}]}, {"type": ["string", "null"]}),
    ],
)
def test_a_simplified_schema_permits_the_same(schema, wanted):
    """Null and values pass as before, and others are refused as before."""
    simple = shapes.simplified(schema)
    assert simple["type"] == (wanted or {"type": ["string", "null"]})["type"]
    for value in (None, "a", "", 1, "b"):
        assert jsonschema.Draft202012Validator(simple).is_valid(value) == jsonschema.Draft202012Validator(
            schema
        ).is_valid(value), value


def test_every_operation_names_its_problems(document):
    """Each has what follows from what it reads, a typed problem for all else, and codes that exist."""
    known = {code.value.code: code.value.status for code in ProblemCode}
    wrong = []
    for name, operation in operations(document).items():
        answers = operation["responses"]
        codes = {code: status for status, answer in answers.items() for code in answer.get(refusals.CODES, ())}
        wrong += [f"{name}: {code} is no {status}" for code, status in codes.items() if str(known[code]) != status]
        wanted = {"unauthenticated", "rate_limited"} if operation.get("security") else set()
        if "application/json" in operation.get("requestBody", {}).get("content", {}):
            wanted |= {"invalid_json", "validation_failed", "unsupported_media_type", "body_too_large"}
        if any(parameter["in"] == "path" for parameter in operation.get("parameters", ())):
            wanted |= {"not_found", "validation_failed"}
        wrong += [f"{name}: {code} is not named" for code in wanted - set(codes)]
        typed = answers["default"]["content"]["application/problem+json"]["schema"]
        wrong += [f"{name}: no typed problem"] * (typed != {"$ref": "#/components/schemas/Problem"})
    assert wrong == []


def test_conditional_requests_are_described(document):
    """ETag, If-Match with 412 and If-None-Match with 304 are where tasks are read and changed."""
    found = operations(document)

    def reads(name):
        return {each["name"] for each in found[name]["parameters"] if each["in"] == "header"}

    assert "If-None-Match" in reads("getTask")
    assert "304" in found["getTask"]["responses"]
    for name in ("updateTask", "replaceTask", "deleteTask"):
        assert "If-Match" in reads(name)
        assert found[name]["responses"]["412"][refusals.CODES] == ["version_mismatch"]
    for name, status in {"createTask": "201", "getTask": "200", "updateTask": "200", "moveTask": "200"}.items():
        assert "ETag" in found[name]["responses"][status]["headers"]
    assert "Location" in found["createTask"]["responses"]["201"]["headers"]


def test_every_answer_to_somebody_signed_in_tells_the_rate_limit(document):
    """RateLimit and RateLimit-Policy are described with each, and Retry-After with each 429 and 503."""
    for name, operation in operations(document).items():
        for status, answer in operation["responses"].items():
            told = set(answer.get("headers", {}))
            if {} not in operation.get("security", [{}]) and status not in {"401", "default"}:
                assert {"RateLimit", "RateLimit-Policy"} <= told, (name, status)
            if refusals.CODES in answer and status in {"429", "503"}:
                assert "Retry-After" in told, (name, status)
            assert told <= set(headers.COMPONENTS), (name, status)


def test_sign_in_is_described(document):
    """A bearer token and an OAuth2 password form, as alternatives of each operation that asks for a sign-in.

    By name `bearer` is the last of them: the header of a generated TypeScript client is the last one's.
    """
    schemes = document["components"]["securitySchemes"]
    assert max(schemes) == "bearer"
    assert schemes["bearer"]["scheme"] == "bearer"
    assert schemes["OAuth2"]["flows"]["password"]["tokenUrl"] == "/v1/auth/login"
    for operation in operations(document).values():
        ways = [way for each in operation.get("security", ()) for way in each]
        assert ways in ([], ["bearer", "OAuth2"])


def test_every_json_body_has_an_example_that_fits(document):
    """Requests, answers and events; each example is valid for its schema."""
    found = 0
    for name, operation in operations(document, webhooks=True).items():
        for body in (operation.get("requestBody", {}), *operation["responses"].values()):
            content = body.get("content", {}).get("application/json")
            if content:
                found += 1
                schema = {**content["schema"], "components": document["components"]}
                faults = jsonschema.Draft202012Validator(schema).iter_errors(content["example"])
                errors = [fault.message for fault in faults]
                assert errors == [], f"{name}: add `examples` to the field: {errors}"
    assert found > 80


def test_webhooks_are_the_events_of_the_contract(document, validate_event):
    """Each shared type of event is one, and the example of each task's event fits the contract's schema."""
    assert set(document["webhooks"]) == {str(each) for each in EventType if is_shared(each)} | {TEST_TYPE}
    for event_type, item in document["webhooks"].items():
        operation = item["post"]
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        event = samples.sample(schema, document["components"]["schemas"])
        assert event["type"] == event_type
        validate_event("envelope", event)
        assert {"webhook-id", "webhook-timestamp", "webhook-signature"} == {
            each["name"] for each in operation["parameters"]
        }
    for event_type in ("comment.created", "comment.deleted", "member.added", "member.removed", "task.moved"):
        schema = document["webhooks"][event_type]["post"]["requestBody"]["content"]["application/json"]["schema"]
        data = samples.sample(schema, document["components"]["schemas"])["data"]
        validate_event(event_type, data if not event_type.startswith("task.") else {"description": None, **data})
