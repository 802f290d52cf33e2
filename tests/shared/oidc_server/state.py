"""What the provider knows: its keys, its one user who is signed in, and how it misbehaves."""

import base64
import dataclasses
import hmac
import json
import time
from typing import Any

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

ALGORITHM = "RS256"


def _new_key(number: int) -> RSAKey:
    return RSAKey.generate_key(2048, parameters={"kid": f"key-{number}", "use": "sig", "alg": ALGORITHM})


def _encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


@dataclasses.dataclass
class State:
    """The state of the provider.

    Attributes:
        issuer: Its address.
        user: Claims of whoever opens the authorization address.
        claims: Claims that replace those of the next tokens; null removes one.
        algorithm: With which tokens are signed.
        stranger: Sign with a key that nobody published, under the name of one that was.
        token_status: Status with which the token endpoint fails.
        keys_padding: Bytes that make the document of the keys larger.
        metadata: Fields that replace those of the metadata.
    """

    issuer: str
    user: dict[str, Any] = dataclasses.field(default_factory=dict)
    claims: dict[str, Any] = dataclasses.field(default_factory=dict)
    algorithm: str = ALGORITHM
    stranger: bool = False
    token_status: int = 0
    keys_padding: int = 0
    metadata: dict[str, Any] = dataclasses.field(default_factory=dict)
    keys: KeySet = dataclasses.field(default_factory=lambda: KeySet([_new_key(1)]))
    requests: dict[str, int] = dataclasses.field(default_factory=dict)

    def behave(self) -> None:
        """Be as at the beginning, but for the keys."""
        fresh = State(issuer=self.issuer, keys=self.keys)
        self.__dict__.update(fresh.__dict__)

    def rotate(self) -> None:
        """Sign with a new key, and withdraw the old one."""
        self.keys = KeySet([_new_key(int(str(self.keys.keys[0].kid).split("-")[1]) + 1)])

    def sign(self, claims: dict[str, Any], *, kind: str = "JWT") -> str:
        """Sign claims in the way that was asked for."""
        key = self.keys.keys[0]
        changed = {name: value for name, value in {**claims, **self.claims}.items() if value is not None}
        header = {"alg": self.algorithm, "kid": key.kid, "typ": kind}
        if self.algorithm == "none":
            return jwt.encode(header, changed, None, algorithms=["none"])
        if self.algorithm == "HS256":  # the public key, which everybody has, as a shared secret
            signed = ".".join(_encoded(json.dumps(part).encode()) for part in (header, changed))
            secret = key.as_pem(private=False)
            return f"{signed}.{_encoded(hmac.digest(secret, signed.encode(), 'sha256'))}"
        signer = _new_key(0) if self.stranger else key
        any_algorithm = {name: value for name, value in signer.as_dict(private=True).items() if name != "alg"}
        return jwt.encode(header, changed, RSAKey.import_key(any_algorithm), algorithms=[self.algorithm])

    def access_token(self, claims: dict[str, Any], *, kind: str) -> str:
        """An access token in the form of RFC 9068."""
        now = int(time.time())
        own = {"iss": self.issuer, "sub": self.user["sub"], "iat": now, "exp": now + 300, "jti": f"t{time.monotonic()}"}
        return self.sign({**own, **claims}, kind=kind)
