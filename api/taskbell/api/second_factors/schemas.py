"""Request and response bodies about second factors."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from taskbell.api.accounts.schemas import GivenPassword
from taskbell.api.http.body import NO_NUL, RequestBody

Code = Annotated[
    str,
    StringConstraints(pattern=r"^(?:[0-9]{6}|(?:[A-Za-z2-7]{4}-?){3}[A-Za-z2-7]{4})$"),
    NO_NUL,
    Field(examples=["492039"]),
]
"""Six digits of an authenticator, or a recovery code."""


class SecondFactorAnswer(RequestBody):
    """The second step of a sign-in."""

    challenge: Annotated[str, StringConstraints(min_length=1, max_length=1024), NO_NUL]
    """Of the problem `second_factor_required`. It is valid for 5 minutes."""
    code: Code
    """Six digits of the authenticator, or a recovery code. Each works once."""


class SecondFactorPassword(RequestBody):
    """The proof that it is the account's user who asks for a second factor."""

    password: GivenPassword
    """The password of the account."""


class SecondFactorCode(RequestBody):
    """A code of the authenticator that was enrolled."""

    code: Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$"), NO_NUL, Field(examples=["492039"])]
    """Six digits."""


class SecondFactorEnd(RequestBody):
    """The proofs that it is the account's user who disables the second factor."""

    password: GivenPassword
    """The password of the account."""
    code: Code
    """Six digits of the authenticator, or a recovery code."""


class SecondFactorState(BaseModel):
    """The second factor of an account."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    enabled: bool
    """Whether a sign-in with the password asks for it."""
    enabled_at: datetime | None
    """Since when; null if it is not."""
    recovery_codes_left: int
    """Recovery codes that were not used."""


class SecondFactorSecret(BaseModel):
    """What an authenticator needs. It is shown once."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    secret: str = Field(examples=["JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"])
    """In base32, for typing in."""
    otpauth_uri: str = Field(examples=["otpauth://totp/Taskbell:ann%40example.com?secret=...&issuer=Taskbell"])
    """The same as an address, for a QR code."""


class RecoveryCodes(BaseModel):
    """Codes that stand in for a lost authenticator. They are shown once."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    recovery_codes: list[str] = Field(examples=[["JBSW-Y3DP-EHPK-3PXP"]])
    """Ten; each works once."""
