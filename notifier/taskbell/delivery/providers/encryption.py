"""Encrypts a message for a browser: RFC 8291, with the content coding `aes128gcm` of RFC 8188."""

from __future__ import annotations

import base64
import binascii
import hmac
import os
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

MOST_PLAIN_BYTES: Final = 3993
"""Most bytes of a message (RFC 8291, section 4): with its head of 86 bytes, delimiter and tag it has 4,096."""
_RECORD_SIZE: Final = (4096).to_bytes(4)


class KeysMalformed(ValueError):
    """The keys of the subscription are not keys."""


def read_keys(p256dh: str | None, auth: str | None) -> tuple[bytes, bytes]:
    """Read the keys of a subscription: a point on P-256 and 16 secret bytes, in base64url. Raises `KeysMalformed`."""
    point, secret = _bytes(p256dh), _bytes(auth)
    if len(point) != 65 or len(secret) != 16:
        raise KeysMalformed("the keys of the subscription are malformed")
    return point, secret


def encrypt(
    plain: bytes,
    *,
    point: bytes,
    secret: bytes,
    salt: bytes | None = None,
    private: ec.EllipticCurvePrivateKey | None = None,
) -> bytes:
    """Return the body of the request.

    Args:
        plain: At most `MOST_PLAIN_BYTES`.
        point: The browser's public key, uncompressed.
        secret: The browser's authentication secret.
        salt: 16 bytes; random if None, and given only by tests.
        private: The key of this message; made if None, and given only by tests.

    Raises:
        KeysMalformed: `point` is not on the curve.
    """
    salt = os.urandom(16) if salt is None else salt
    private = ec.generate_private_key(ec.SECP256R1()) if private is None else private
    try:
        theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        raise KeysMalformed("the keys of the subscription are malformed") from None
    ours = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    shared = private.exchange(ec.ECDH(), theirs)
    keying = _expand(_extract(secret, shared), b"WebPush: info\0" + point + ours, 32)
    extracted = _extract(salt, keying)
    key = _expand(extracted, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _expand(extracted, b"Content-Encoding: nonce\0", 12)
    sealed = AESGCM(key).encrypt(nonce, plain + b"\2", None)
    return salt + _RECORD_SIZE + bytes([len(ours)]) + ours + sealed


def _extract(salt: bytes, keying: bytes) -> bytes:
    return hmac.digest(salt, keying, "sha256")


def _expand(key: bytes, info: bytes, size: int) -> bytes:
    return hmac.digest(key, info + b"\1", "sha256")[:size]  # one block is enough (RFC 5869, section 2.3)


def _bytes(text: str | None) -> bytes:
    try:
        return base64.b64decode((text or "") + "=" * (-len(text or "") % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
