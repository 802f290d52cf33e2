"""Codes, without I/O: those of an authenticator (RFC 6238) and recovery codes."""

from __future__ import annotations

import base64
import secrets
from hashlib import sha256
from hmac import compare_digest

import pyotp

PERIOD = 30
"""Seconds for which an authenticator shows one code."""
DIGITS = 6
RECOVERY_CODES = 10
_DRIFT = 1
"""Steps by which the clock of an authenticator may be wrong, in both directions."""
_RECOVERY_BYTES = 10
_GROUP = 4


def new_secret() -> str:
    """A secret of 160 bits (RFC 4226, section 4), in base32."""
    return pyotp.random_base32()


def address_of(secret: str, *, email: str) -> str:
    """The `otpauth://` address that an authenticator takes, mostly as a QR code."""
    return pyotp.TOTP(secret, interval=PERIOD).provisioning_uri(name=email, issuer_name="Taskbell")


def step_of(secret: str, code: str, *, now: float, last_step: int | None) -> int | None:
    """The step whose code this is, if it is of now, give or take one, and later than the last one that was used."""
    authenticator, present = pyotp.TOTP(secret, interval=PERIOD), int(now) // PERIOD
    for step in range(present - _DRIFT, present + _DRIFT + 1):
        expected = authenticator.generate_otp(step)
        if (last_step is None or step > last_step) and compare_digest(expected.encode(), code.encode()):
            return step
    return None


def new_recovery_codes() -> list[str]:
    """Codes of 80 bits each, in groups of four characters."""
    return [_grouped(base64.b32encode(secrets.token_bytes(_RECOVERY_BYTES)).decode()) for _ in range(RECOVERY_CODES)]


def digest_of(code: str) -> bytes:
    """The hash of a recovery code, however it was typed."""
    plain = "".join(code.split()).replace("-", "").upper()
    return sha256(plain.encode()).digest()


def _grouped(text: str) -> str:
    return "-".join(text[start : start + _GROUP] for start in range(0, len(text), _GROUP))
