"""Message encryption of Web Push (RFC 8291): the browser's side, which decrypts `aes128gcm` (RFC 8188)."""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_HEADER = 16 + 4 + 1  # salt, record size, length of the key id
_POINT = 65
_TAG = 16


class MessageUndecipherable(ValueError):
    """A browser would drop this message."""


def decrypt(body: bytes, *, key: ec.EllipticCurvePrivateKey, auth: bytes) -> bytes:
    """Decrypt a message.

    Raises:
        MessageUndecipherable: Its header, its key or its tag is wrong, or it has more than one record (RFC 8291
            section 4 allows one).
    """
    if len(body) < _HEADER + _POINT + _TAG + 2:
        raise MessageUndecipherable("shorter than any message")
    salt, record_size, id_length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
    if id_length != _POINT:
        raise MessageUndecipherable("the key id is the sender's public key of 65 bytes")
    point, text = body[_HEADER : _HEADER + _POINT], body[_HEADER + _POINT :]
    if record_size < 18 or len(text) > record_size:
        raise MessageUndecipherable("not one record of at least 18 bytes")
    try:
        sender = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError as refused:
        raise MessageUndecipherable("the sender's key is no point of P-256") from refused
    own = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    secret = _derive(auth, key.exchange(ec.ECDH(), sender), b"WebPush: info\0" + own + point, 32)
    content_key = _derive(salt, secret, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derive(salt, secret, b"Content-Encoding: nonce\0", 12)
    try:
        padded = AESGCM(content_key).decrypt(nonce, text, None)
    except InvalidTag as refused:
        raise MessageUndecipherable("the tag is wrong: another key, or a changed message") from refused
    plain, delimiter = padded.rstrip(b"\0"), b"\x02"
    if not plain.endswith(delimiter):
        raise MessageUndecipherable("the last record does not end with its delimiter")
    return plain[:-1]


def _derive(salt: bytes, secret: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt, info=info).derive(secret)
