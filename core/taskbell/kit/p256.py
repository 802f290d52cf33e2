"""Public keys of Web Push: points of the curve P-256 as base64url text (RFC 8291, RFC 8292)."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from binascii import Error, a2b_base64

from joserfc.jwk import ECKey

_UNCOMPRESSED = 0x04
_COORDINATE = 32


def decoded(text: str) -> bytes | None:
    """Read base64url text, with or without padding (RFC 4648, section 5); None if it is none."""
    if not text.isascii() or "+" in text or "/" in text:
        return None
    standard = text.rstrip("=").translate({ord("-"): "+", ord("_"): "/"})
    try:
        return a2b_base64(standard + "=" * (-len(standard) % 4), strict_mode=True)
    except Error:
        return None


def is_point(text: str) -> bool:
    """Whether text is an uncompressed point (65 bytes, the first is 4) that lies on the curve."""
    raw = decoded(text)
    if raw is None or len(raw) != 1 + 2 * _COORDINATE or raw[0] != _UNCOMPRESSED:
        return False
    x, y = raw[1 : 1 + _COORDINATE], raw[1 + _COORDINATE :]
    try:
        ECKey.import_key({"kty": "EC", "crv": "P-256", "x": _text(x), "y": _text(y)})
    except ValueError:
        return False
    return True


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
