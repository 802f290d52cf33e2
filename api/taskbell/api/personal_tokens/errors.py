"""What can be wrong with a request about personal access tokens.

Refused
├── PersonalTokenNotFound  404
├── TooManyPersonalTokens  409
└── ExpiryRefused          422
"""

from __future__ import annotations

from taskbell.contract.problems import FieldError, ProblemCode, Refused


class PersonalTokenNotFound(Refused):
    """You have no such personal access token."""

    code = ProblemCode.NOT_FOUND


class TooManyPersonalTokens(Refused):
    """You have as many personal access tokens as you may have: delete one first."""

    code = ProblemCode.LIMIT_REACHED


class ExpiryRefused(Refused):
    """The token would have expired already, or live for too long."""

    code = ProblemCode.VALIDATION_FAILED

    def __init__(self, message: str) -> None:
        super().__init__(f"/expires_at: {message}", errors=(FieldError("/expires_at", "expiry", message),))
