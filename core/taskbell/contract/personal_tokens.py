"""Personal access tokens: `tbp_`, 32 random bytes, a checksum. Only their SHA-256 is stored.

The checksum tells a token that was mistyped or cut off from one that was revoked, without asking anybody, and lets
tools that search for leaked secrets report no accidental likeness.
"""

from __future__ import annotations

import secrets
import string
import zlib
from hashlib import sha256

from taskbell.contract.tokens import PERSONAL_PREFIX

_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
"""Base 62: a double click selects the whole token."""
_RANDOM_BYTES = 32
_RANDOM_DIGITS = 43
_CHECKSUM_DIGITS = 6
LENGTH = len(PERSONAL_PREFIX) + _RANDOM_DIGITS + _CHECKSUM_DIGITS


def make() -> str:
    """A new token."""
    text = _written(int.from_bytes(secrets.token_bytes(_RANDOM_BYTES), "big"), digits=_RANDOM_DIGITS)
    return PERSONAL_PREFIX + text + _checksum(text)


def is_well_formed(token: str) -> bool:
    """Whether a text is a token, perhaps of nobody: its prefix, length and checksum are right."""
    if len(token) != LENGTH or not token.startswith(PERSONAL_PREFIX) or not token.isascii():
        return False
    text = token[len(PERSONAL_PREFIX) :]
    return _checksum(text[:_RANDOM_DIGITS]) == text[_RANDOM_DIGITS:]


def digest(token: str) -> bytes:
    """What is stored of a token."""
    return sha256(token.encode()).digest()


def _checksum(text: str) -> str:
    return _written(zlib.crc32(text.encode()), digits=_CHECKSUM_DIGITS)


def _written(number: int, *, digits: int) -> str:
    found = []
    for _ in range(digits):
        number, digit = divmod(number, len(_DIGITS))
        found.append(_DIGITS[digit])
    return "".join(reversed(found))
