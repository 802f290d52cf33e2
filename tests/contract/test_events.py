import json
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskbell.contract.events import EventRecord, EventType, envelope

_IDS = st.uuids()
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_RECORDS = st.builds(
    EventRecord,
    id=_IDS,
    workspace_id=_IDS,
    type=st.sampled_from([*EventType, "task.some_newer_fact"]).map(str),
    subject_id=_IDS,
    actor_id=st.none() | _IDS,
    audience=st.lists(_IDS, max_size=3).map(tuple),
    traceparent=st.none() | st.just("00-" + "a" * 32 + "-" + "b" * 16 + "-01"),
    created_at=st.datetimes(timezones=st.timezones()),
    data=st.dictionaries(st.text(max_size=5), _JSON, max_size=4).map(json.dumps),
)
_REQUIRED = {"specversion", "id", "source", "type"}


def _record(**values):
    return EventRecord(
        **{
            "id": UUID(int=1),
            "workspace_id": UUID(int=2),
            "type": EventType.TASK_CREATED,
            "subject_id": UUID(int=3),
            "actor_id": UUID(int=4),
            "audience": (UUID(int=4),),
            "traceparent": None,
            "created_at": datetime(2026, 11, 20, 12, 0, 0, 250000, tzinfo=UTC),
            "data": '{"id": "x"}',
        }
        | values
    )


@pytest.mark.feature("F2")
@given(_RECORDS)
def test_an_envelope_is_a_cloudevent(record):
    """Every envelope is valid JSON, has the attributes CloudEvents 1.0 requires, and carries the data unchanged."""
    document = json.loads(envelope(record))
    assert document.keys() >= _REQUIRED
    assert document["specversion"] == "1.0"
    assert all(isinstance(value, str) and value for name, value in document.items() if name != "data")
    assert all(name.isascii() and name.isalnum() and name.islower() for name in document)
    assert document["data"] == json.loads(record.data)
    assert ("actorid" in document, "traceparent" in document) == (
        record.actor_id is not None,
        record.traceparent is not None,
    )


def test_data_is_passed_byte_for_byte():
    """The text that PostgreSQL wrote is in the envelope as it is: spaces, order and number forms are kept."""
    data = '{"b":1.0,  "a":"\\u00e9", "big":12345678901234567890}'
    assert envelope(_record(data=data)).endswith(b',"data":' + data.encode() + b"}")


def test_the_envelope_of_a_known_event():
    """The wire form, once in full."""
    assert json.loads(envelope(_record())) == {
        "specversion": "1.0",
        "id": "00000000-0000-0000-0000-000000000001",
        "source": "/workspaces/00000000-0000-0000-0000-000000000002",
        "type": "task.created",
        "subject": "00000000-0000-0000-0000-000000000003",
        "time": "2026-11-20T12:00:00.250000Z",
        "datacontenttype": "application/json",
        "dataschema": "https://taskbell.dev/schemas/events/task.created.json",
        "workspaceid": "00000000-0000-0000-0000-000000000002",
        "actorid": "00000000-0000-0000-0000-000000000004",
        "data": {"id": "x"},
    }


def test_times_are_told_in_utc():
    """Whatever zone the driver reads in, clients get UTC."""
    paris = datetime(2026, 7, 1, 2, 0, tzinfo=timezone(timedelta(hours=2)))
    assert json.loads(envelope(_record(created_at=paris)))["time"] == "2026-07-01T00:00:00Z"
