"""E-mails that are no notifications, as the API and delivery know them."""

from __future__ import annotations

CONFIRMATION_TYPE = "email.confirmation"
"""Type of a delivery that confirms an address. Its `data` has `token` and `expires_at`; it never enters the stream."""
