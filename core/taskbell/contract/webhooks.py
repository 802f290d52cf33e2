"""Webhooks, as the API and delivery know them (Standard Webhooks, https://www.standardwebhooks.com)."""

from __future__ import annotations

HEADER_ID = "webhook-id"
"""The event's id: constant over retries and redeliveries."""
HEADER_TIMESTAMP = "webhook-timestamp"
"""Unix seconds of this attempt."""
HEADER_SIGNATURE = "webhook-signature"
"""`v1,<base64>` for every secret that is valid, separated by spaces."""
SECRET_PREFIX = "whsec_"  # noqa: S105 -- how secrets begin
"""A secret is this and the base64 of 32 random bytes."""
EVERYTHING = "*"
"""All types of events, or all kinds of notifications."""
TEST_TYPE = "webhook.test"
"""Type of the event in a test delivery; it is about no object and never enters the stream."""

_SHARED_ROOTS = frozenset({"task", "comment", "member", "workspace"})


def is_shared(event_type: str) -> bool:
    """Tell whether all members may know an event; only such events go to webhooks."""
    return event_type.partition(".")[0] in _SHARED_ROOTS
