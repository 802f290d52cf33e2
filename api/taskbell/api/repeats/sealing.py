"""Kept answers are encrypted: only who sends the same key for the same user can read one, as it may hold secrets."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from uuid import UUID

import orjson
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from taskbell.api.repeats.policy import Answer

_HALF = 32
_NONCE = 12
_PURPOSE = b"taskbell kept answer"


@dataclass(frozen=True, slots=True)
class Seal:
    """What a key of a user comes to.

    Attributes:
        name: The name under which the answer is kept; it tells nothing of the key.
        cipher: Encrypts it.
    """

    name: bytes
    cipher: AESGCM

    @classmethod
    def of(cls, key: str, *, user: UUID) -> Seal:
        """Derive both from the key: another user's is another seal."""
        derived = HKDF(algorithm=SHA256(), length=2 * _HALF, salt=user.bytes, info=_PURPOSE).derive(key.encode("ascii"))
        return cls(derived[:_HALF], AESGCM(derived[_HALF:]))

    @property
    def lock(self) -> int:
        """The number of the lock that requests with this key take turns by."""
        return int.from_bytes(self.name[:8], signed=True)

    def close(self, answer: Answer) -> bytes:
        """Encrypt an answer, all but its position."""
        head = orjson.dumps(
            {
                "fingerprint": answer.fingerprint.hex(),
                "status": answer.status,
                "headers": [[str(name, "latin-1"), str(value, "latin-1")] for name, value in answer.headers],
                "has_body": answer.body is not None,
            }
        )
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self.cipher.encrypt(nonce, head + b"\n" + (answer.body or b""), self.name)

    def open(self, sealed: bytes, *, reached: int) -> Answer:
        """Decrypt what `close` made. Raises `cryptography.exceptions.InvalidTag` for anything else."""
        head, _, body = self.cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], self.name).partition(b"\n")
        found = orjson.loads(head)
        return Answer(
            fingerprint=bytes.fromhex(found["fingerprint"]),
            status=found["status"],
            headers=tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in found["headers"]),
            body=body if found["has_body"] else None,
            reached=reached,
        )
