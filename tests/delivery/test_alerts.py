"""What an alert says, read from an event."""

import orjson
import pytest

from taskbell.delivery.alerts import AlertMalformed, read_alert

NOTIFICATION = {
    "id": "01941f29-7c00-7000-8000-000000000001",
    "kind": "assigned",
    "workspace_id": "01941f29-7c00-7000-8000-000000000002",
    "task_id": None,
    "actor_id": None,
    "title": "Water the plants",
    "body": "Assigned to you",
    "urgent": True,
    "read_at": None,
    "created_at": "2026-11-21T08:00:00.000000Z",
}


@pytest.mark.parametrize(("event_type", "withdrawn"), [("notification.created", False), ("notification.read", True)])
def test_an_alert_says_what_the_notification_says(event_type, withdrawn):
    """The alert has the notification's words, and a read notification withdraws it."""
    alert = read_alert(orjson.dumps({"type": event_type, "data": NOTIFICATION}).decode(), others=3)
    assert (str(alert.notification_id), alert.title, alert.body) == (
        NOTIFICATION["id"],
        "Water the plants",
        "Assigned to you",
    )
    assert (alert.task_id, alert.urgent, alert.others, alert.withdrawn) == (None, True, 3, withdrawn)


@pytest.mark.parametrize("payload", ["", "[]", "{}", '{"type":"x","data":{"id":"1"}}', '{"type":"x","data":null}'])
def test_another_document_is_no_alert(payload):
    """A payload without a notification is refused by name."""
    with pytest.raises(AlertMalformed, match="no alert"):
        read_alert(payload)
