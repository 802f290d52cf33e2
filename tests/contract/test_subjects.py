import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskbell.contract import subjects
from taskbell.contract.events import EventType


@given(workspace=st.uuids(), event_type=st.sampled_from(EventType))
def test_a_subject_tells_workspace_and_type(workspace, event_type):
    """A reader of the stream learns from the subject alone which workspace and type an event is of."""
    subject = subjects.event_subject(workspace_id=workspace, event_type=event_type)
    assert subjects.parse_event_subject(subject) == (str(workspace), event_type)
    assert subject.startswith(subjects.workspace_filter(workspace).removesuffix(">"))


@given(st.text())
def test_other_subjects_are_refused(subject):
    """Anything else is a ValueError, not a wrong workspace."""
    with pytest.raises(ValueError, match="not an event subject"):
        subjects.parse_event_subject(subject)


@pytest.mark.parametrize("event_type", EventType)
def test_a_type_is_a_legal_part_of_a_subject(event_type):
    """No type holds a character that NATS gives a meaning, besides the dot between its two words."""
    noun, fact = event_type.split(".")
    assert noun.isidentifier()
    assert fact.isidentifier()


def test_the_duplicate_window_is_at_least_ten_minutes():
    """A relay that repeats itself within ten minutes is deduplicated by the stream, and events outlive that."""
    wanted = subjects.StreamConfiguration()
    assert wanted.duplicate_window.total_seconds() >= 600
    assert wanted.max_age > wanted.duplicate_window
