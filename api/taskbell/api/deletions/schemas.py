"""The body of a deletion."""

from __future__ import annotations

from taskbell.api.accounts.schemas import GivenPassword
from taskbell.api.http.body import RequestBody
from taskbell.api.second_factors.schemas import Code


class AccountDeletion(RequestBody):
    """A proof that it is you who asks."""

    password: GivenPassword | None = None
    """Your password. An account without one needs a sign-in of the last 15 minutes instead."""
    code: Code | None = None
    """If you have a second factor: six digits of the authenticator, or a recovery code."""
