"""E-mails that are no notifications, as the API and delivery know them. They never enter the stream."""

from __future__ import annotations

CONFIRMATION_TYPE = "email.confirmation"
"""Type of a delivery that confirms an address. Its `data` has `token` and `expires_at`."""
PASSWORD_RESET_TYPE = "email.password_reset"  # noqa: S105 -- a name
"""Type of a delivery by which a user who forgot the password sets another. Its `data` has `token` and `expires_at`."""
