"""Which events leave the platform."""

import pytest

from taskbell.contract.events import EventType, is_personal
from taskbell.contract.webhooks import is_shared


@pytest.mark.parametrize("event_type", EventType)
def test_an_event_is_shared_or_personal(event_type):
    """No type is both, and none is forgotten: webhooks get what is every member's, never a person's own."""
    assert is_shared(event_type) is not is_personal(event_type)


@pytest.mark.parametrize("event_type", ["session.opened", "notifications", "", "webhook.test"])
def test_unknown_types_stay_inside(event_type):
    """A type that nobody has decided about is not sent."""
    assert not is_shared(event_type)
