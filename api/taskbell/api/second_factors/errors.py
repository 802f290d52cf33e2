"""What can go wrong with a second factor, as past facts.

Refused
├── SecondFactorRequired    401
├── ChallengeRefused        401
├── SecondFactorRefused     401
├── CodeWrong               422
├── SecondFactorExists      409
├── SecondFactorMissing     409
├── PasswordMissing         409
└── SecondFactorNotSetUp    404
"""

from __future__ import annotations

from taskbell.contract.problems import FieldError, ProblemCode, Refused


class SecondFactorRequired(Refused):
    """The password is right. Send a code with the challenge to `POST /v1/auth/second-factor`."""

    code = ProblemCode.SECOND_FACTOR_REQUIRED

    def __init__(self, challenge: str) -> None:
        super().__init__(challenge=challenge)


class ChallengeRefused(Refused):
    """The challenge is malformed or expired, or the password was changed since: sign in again."""

    code = ProblemCode.INVALID_CREDENTIALS


class SecondFactorRefused(Refused):
    """The code is wrong, too old, or was used."""

    code = ProblemCode.INVALID_SECOND_FACTOR


class CodeWrong(Refused):
    """The code is wrong, too old, or was used."""

    code = ProblemCode.VALIDATION_FAILED

    def __init__(self) -> None:
        detail = "The code is wrong, too old, or was used."
        super().__init__(detail, errors=(FieldError("/code", "wrong_code", detail),))


class SecondFactorExists(Refused):
    """The account has a second factor; disable it first."""

    code = ProblemCode.CONFLICT


class SecondFactorMissing(Refused):
    """The account has no second factor that waits to be confirmed, or that could be disabled."""

    code = ProblemCode.CONFLICT


class PasswordMissing(Refused):
    """The account has no password, so its sign-in has no second step here: ask your identity provider for one."""

    code = ProblemCode.CONFLICT


class SecondFactorNotSetUp(Refused):
    """Second factors are not set up here."""

    code = ProblemCode.NOT_SET_UP
