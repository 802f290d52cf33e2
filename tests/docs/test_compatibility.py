"""What breaks a client is found, and what does not is not: each change by itself, on a small document."""

import copy
import importlib
import json
from pathlib import Path

import pytest

BEFORE = {
    "paths": {
        "/tasks": {
            "post": {
                "operationId": "createTask",
                "parameters": [
                    {"in": "query", "name": "dry", "required": False, "schema": {"type": "integer", "maximum": 9}}
                ],
                "requestBody": {
                    "required": False,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/New"}}},
                },
                "responses": {
                    "201": {
                        "headers": {"ETag": {}},
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Task"}}},
                    },
                    "409": {"content": {}},
                },
            }
        }
    },
    "webhooks": {
        "task.created": {
            "post": {
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Task"}}}}
            }
        }
    },
    "components": {
        "schemas": {
            "New": {
                "type": "object",
                "properties": {
                    "title": {"type": "string", "maxLength": 9},
                    "status": {"enum": ["open", "done"]},
                    "due": {"type": ["string", "null"]},
                },
                "required": ["title"],
                "additionalProperties": False,
            },
            "Task": {
                "type": "object",
                "properties": {
                    "title": {"type": "string"},
                    "status": {"enum": ["open", "done"]},
                    "parent": {"$ref": "#/components/schemas/Task"},
                },
                "required": ["title"],
            },
        }
    },
}
ROOT = Path(__file__).parents[2]
POST = ("paths", "/tasks", "post")
NEW = ("components", "schemas", "New")
TASK = ("components", "schemas", "Task")
GONE = object()


def changed(*places):
    """The document with other values at some places."""
    document = copy.deepcopy(BEFORE)
    for *steps, last, value in places:
        part = document
        for step in steps:
            part = part[step]
        if value is GONE:
            del part[last]
        else:
            part[last] = value
    return document


@pytest.fixture
def compatibility(monkeypatch):
    """The comparison; it is not part of the installed package."""
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("docs._generate.compatibility")


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ((*POST, GONE), "POST /tasks: is gone"),
        ((*POST, "operationId", "makeTask"), "operation id createTask is now makeTask"),
        ((*POST, "security", [{"bearer": []}]), "needs a sign-in now"),
        ((*POST, "parameters", []), "query parameter dry is gone"),
        ((*POST, "parameters", 0, "required", True), "query parameter dry is required now"),
        ((*POST, "parameters", 0, "schema", "maximum", 5), "dry: maximum is 5 now, 9 before"),
        ((*POST, "parameters", 0, "schema", "minimum", 1), "dry: minimum is 1 now, none before"),
        ((*POST, "requestBody", GONE), "takes no body now"),
        ((*POST, "requestBody", "required", True), "a body is required now"),
        ((*POST, "requestBody", "content", "application/json", GONE), "body: no application/json now"),
        ((*POST, "responses", "201", GONE), "answers no 201 now"),
        ((*POST, "responses", "201", "headers", "ETag", GONE), "201 has no header ETag now"),
        ((*NEW, "properties", "title", GONE), "body.title: is gone"),
        ((*NEW, "properties", "title", "maxLength", 5), "body.title: maxLength is 5 now"),
        ((*NEW, "properties", "title", "pattern", "^a"), "body.title: pattern is ^a now"),
        ((*NEW, "properties", "due", "type", "string"), "body.due: type takes less now"),
        ((*NEW, "properties", "status", "enum", ["open"]), "body.status: enumeration takes less now: done"),
        ((*NEW, "required", ["title", "due"]), "body.due: is required now"),
        ((*TASK, "properties", "title", GONE), "201.title: is gone"),
        ((*TASK, "properties", "title", "type", ["string", "null"]), "201.title: type may be more now"),
        ((*TASK, "properties", "status", "enum", ["open", "done", "new"]), "201.status: enumeration may be more now"),
        ((*TASK, "required", []), "201.title: may be absent now"),
        (("webhooks", "task.created", GONE), "webhook task.created: is gone"),
    ],
)
def test_a_break_is_told(compatibility, place, told):
    """A change that a client may fail of is told, with its place."""
    assert [each for each in compatibility.breaks(BEFORE, changed(place)) if told in each]


@pytest.mark.parametrize(
    "place",
    [
        ("paths", "/more", {"get": {"operationId": "getMore", "responses": {}}}),
        (*POST, "responses", "409", GONE),
        (*POST, "responses", "418", {}),
        (*POST, "security", [{}, {"bearer": []}]),
        (*POST, "parameters", 0, "schema", "maximum", 50),
        (*NEW, "properties", "more", {"type": "string"}),
        (*NEW, "properties", "status", "enum", ["open", "done", "new"]),
        (*NEW, "properties", "title", "type", ["string", "null"]),
        (*NEW, "required", []),
        (*TASK, "properties", "more", {"type": "string"}),
        (*TASK, "properties", "status", "enum", ["open"]),
        (*TASK, "required", ["title", "status"]),
    ],
)
def test_what_breaks_nobody_is_not_told(compatibility, place):
    """More that is taken, and less or more precise answers, pass."""
    assert compatibility.breaks(BEFORE, changed(place)) == []


def test_prose_does_not_count(compatibility):
    """The baseline holds no prose, and keeps what is named like prose."""
    document = {
        "info": {"title": "T"},
        "paths": {"/a": {"get": {"summary": "S", "responses": {"200": {"description": "D"}}}}},
        "components": {"schemas": {"Task": {"description": "D", "properties": {"title": {"description": "D"}}}}},
    }
    assert compatibility.skeleton(document) == {
        "paths": {"/a": {"get": {"responses": {"200": {}}}}},
        "components": {"schemas": {"Task": {"properties": {"title": {}}}}},
    }


def test_a_break_fails_the_check(compatibility, tmp_path, monkeypatch, capsys):
    """`make check` fails for a break, names it, and passes when the break was accepted."""
    breaking = importlib.import_module(f"{compatibility.__package__}.breaking")
    now = json.loads(breaking.NOW.read_text())
    monkeypatch.setattr(breaking, "NOW", tmp_path / "now.json")
    monkeypatch.setattr(breaking, "BASELINE", tmp_path / "baseline.json")
    Path(tmp_path / "now.json").write_text(json.dumps(now))
    assert breaking.main(["--accept"]) == 0
    assert breaking.main([]) == 0
    del now["paths"]["/v1/tasks/{task_id}/move"]
    Path(tmp_path / "now.json").write_text(json.dumps(now))
    assert breaking.main([]) == 1
    assert "POST /v1/tasks/{task_id}/move: is gone" in capsys.readouterr().out
    assert breaking.main(["--accept"]) == 0
    assert breaking.main([]) == 0
