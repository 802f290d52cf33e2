"""What can go wrong with an account, as past facts.

Refused
├── AccountGone              401
├── EmailTaken               409
├── CredentialsRefused       401, the same for an unknown account and a wrong password
├── CurrentPasswordWrong     422
├── SignInThrottled          429
├── PasswordHashingSaturated 503
├── RefreshTokenRefused      401
├── RefreshTokenReused       401
├── EmailConfirmed           409
├── ConfirmationRefused      400
├── ConfirmationsThrottled   429
├── PasswordResetRefused     400
├── SessionNotFound          404
├── SignInTooOld             403
└── EmailUnchanged           422
"""

from __future__ import annotations

import math
from datetime import timedelta

from taskbell.contract.problems import FieldError, ProblemCode, Refused


class AccountGone(Refused):
    """The account of the access token is gone."""

    code = ProblemCode.UNAUTHENTICATED


class EmailTaken(Refused):
    """An account with this e-mail address exists."""

    code = ProblemCode.EMAIL_TAKEN


class CredentialsRefused(Refused):
    """E-mail or password is wrong."""

    code = ProblemCode.INVALID_CREDENTIALS


class CurrentPasswordWrong(Refused):
    """The current password is wrong."""

    code = ProblemCode.VALIDATION_FAILED

    def __init__(self, pointer: str = "/current_password") -> None:
        detail = "The current password is wrong."
        super().__init__(detail, errors=(FieldError(pointer, "wrong_password", detail),))


class SignInThrottled(Refused):
    """Too many sign-ins failed, too many registrations were made, or too many wait already; wait before the next."""

    code = ProblemCode.RATE_LIMITED

    def __init__(self, wait: timedelta) -> None:
        seconds = max(1, math.ceil(wait.total_seconds()))
        super().__init__(f"Too many tries; try again in {seconds} s.", headers={"Retry-After": str(seconds)})


class PasswordHashingSaturated(Refused):
    """More passwords wait to be checked than this process takes on; try again in a moment."""

    code = ProblemCode.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "1"})


class RefreshTokenRefused(Refused):
    """The refresh token is unknown, expired or revoked: sign in again."""

    code = ProblemCode.INVALID_REFRESH_TOKEN


class RefreshTokenReused(Refused):
    """The refresh token was used before, so its whole session is revoked: sign in again."""

    code = ProblemCode.REFRESH_TOKEN_REUSED


class EmailConfirmed(Refused):
    """The address of the account is confirmed already."""

    code = ProblemCode.EMAIL_CONFIRMED


class ConfirmationRefused(Refused):
    """The token is unknown, expired, used, or of another account: ask for a new message."""

    code = ProblemCode.INVALID_CONFIRMATION


class ConfirmationsThrottled(Refused):
    """The mailbox has got as many messages as it may get in a day."""

    code = ProblemCode.RATE_LIMITED

    def __init__(self, wait: timedelta) -> None:
        super().__init__(headers={"Retry-After": str(max(1, math.ceil(wait.total_seconds())))})


class PasswordResetRefused(Refused):
    """The token is unknown, expired or used, or the password was changed since: ask for a new message."""

    code = ProblemCode.INVALID_PASSWORD_RESET


class SessionNotFound(Refused):
    """You have no session with this id; it may have ended."""

    code = ProblemCode.NOT_FOUND


class SignInTooOld(Refused):
    """The account has no password to ask for, and its user signed in too long ago: sign in again, then repeat this."""

    code = ProblemCode.SIGN_IN_AGAIN


class EmailUnchanged(Refused):
    """The account has this address already."""

    code = ProblemCode.VALIDATION_FAILED

    def __init__(self) -> None:
        detail = "The account has this address already."
        super().__init__(detail, errors=(FieldError("/email", "unchanged", detail),))
