"""Secrets that are stored encrypted (JWE, RFC 7516, with AES-256-GCM), under keys that the database does not have."""

from __future__ import annotations

from typing import Any, cast

import orjson
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OctKey
from uuid_utils.compat import uuid7

_ALGORITHMS = ["dir", "A256GCM"]
_KEY_BITS = 256


class SealingKeysMalformed(ValueError):
    """The configured keys are not a JWK Set (RFC 7517) of 256-bit `oct` keys with a `kid` each."""


class SealBroken(ValueError):
    """The text was sealed under another key, for somebody else, or was changed since."""


def generate_sealing_keys(earlier: str | None = None) -> str:
    """Return a JWK Set: a new key that seals, then the keys of `earlier`, which still open."""
    key = OctKey.generate_key(_KEY_BITS, parameters={"kid": str(uuid7()), "use": "enc"})
    kept = Seal.parse(earlier).keys.keys if earlier else []
    return orjson.dumps(KeySet([key, *kept]).as_dict(private=True)).decode()


class Seal:
    """Seals texts for an owner, and opens them for the same owner alone. The first key seals, all keys open."""

    def __init__(self, keys: KeySet) -> None:
        self.keys = keys

    @classmethod
    def parse(cls, text: str) -> Seal:
        """Read a JWK Set.

        Raises:
            SealingKeysMalformed: It is none, or one of its keys is not 256 bits long or has no `kid`.
        """
        try:
            document: Any = orjson.loads(text)
            named = all("kid" in key for key in document["keys"])  # joserfc would name a key by its hash
            keys = KeySet.import_key_set(cast("Any", document))
        except (ValueError, TypeError, KeyError, JoseError) as refused:
            raise SealingKeysMalformed("not a JWK Set") from refused
        if not keys.keys:
            raise SealingKeysMalformed("the JWK Set is empty")
        for key in keys.keys:
            if not named or not isinstance(key, OctKey) or len(key.raw_value) * 8 != _KEY_BITS:
                raise SealingKeysMalformed(f"every key must be an oct key of {_KEY_BITS} bits with a kid")
        return cls(keys)

    def seal(self, text: str, *, owner: str) -> str:
        """Encrypt a text for an owner."""
        key = self.keys.keys[0]
        header = {"alg": "dir", "enc": "A256GCM", "kid": key.kid}
        return jwe.encrypt_compact(header, orjson.dumps([owner, text]), key, algorithms=_ALGORITHMS)

    def open(self, sealed: str, *, owner: str) -> str:
        """Decrypt a text.

        Raises:
            SealBroken: It was not sealed for this owner, its key is gone, or it was changed.
        """
        try:
            plain = jwe.decrypt_compact(sealed, self.keys, algorithms=_ALGORITHMS).plaintext
        except (ValueError, JoseError) as refused:
            raise SealBroken("sealed under another key, or changed") from refused
        found: list[str] = orjson.loads(plain or b"[]")
        if found[:1] != [owner]:
            raise SealBroken("sealed for somebody else")
        return found[1]
