"""Each field that a client may set is written, kept and read, whatever fields a task has."""

import pytest

from taskbell.api.tasks.schemas import TaskPatch

_SCHEMA = TaskPatch.model_json_schema()


def _value(schema, user):
    """A value that fits the schema of a field and is not its default."""
    kinds = schema.get("anyOf", [schema])
    kind = _SCHEMA["$defs"][kinds[0]["$ref"].rpartition("/")[2]] if "$ref" in kinds[0] else kinds[0]
    if "enum" in kind:
        return kind["enum"][-1]
    if kind.get("format") == "date-time":
        return "2027-03-04T05:06:07.000000Z"
    return {"string": "text", "integer": kind.get("minimum"), "boolean": True, "array": [user]}[kind["type"]]


@pytest.mark.parametrize("field", _SCHEMA["properties"])
async def test_a_field_is_kept(ann, field):
    """Given at creation it is in the task; changed by PATCH it has the new value, and PUT without it resets it."""
    value = _value(_SCHEMA["properties"][field], ann.user_id)
    plain = await ann.create()
    assert plain[field] != value
    assert (await ann.create(**{field: value}))[field] == value
    changed = (await ann.request("PATCH", f"/tasks/{plain['id']}", json={field: value})).json()
    assert changed[field] == value
    assert await ann.get(plain["id"]) == changed
    reset = (await ann.request("PUT", f"/tasks/{plain['id']}", json={"title": plain["title"]})).json()
    assert reset[field] == plain[field]
