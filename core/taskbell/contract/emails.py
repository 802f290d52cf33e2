"""E-mails that are no notifications, as the API and delivery know them. They never enter the stream."""

from __future__ import annotations

CONFIRMATION_TYPE = "email.confirmation"
"""Type of a delivery that confirms an address. Its `data` has `token` and `expires_at`."""
PASSWORD_RESET_TYPE = "email.password_reset"  # noqa: S105 -- a name
"""Type of a delivery by which a user who forgot the password sets another. Its `data` has `token` and `expires_at`."""
EMAIL_CHANGE_TYPE = "email.change"
"""Type of a delivery to an address that an account is to have. Its `data` has `token`, `expires_at` and, as `to`, the
address.
"""
INVITATION_TYPE = "email.invitation"
"""Type of a delivery that invites an address without an account. Its `data` has `token`, `expires_at` and `role`; also
`workspace_name`, `inviter_name` and `inviter_email`, each None if the inviter's address is not confirmed.
"""
EMAIL_CHANGED_TYPE = "email.changed"
"""Type of a delivery that tells the former address of an account, in `to` of its `data`, that it has another one."""
