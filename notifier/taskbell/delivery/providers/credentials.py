"""The keys with which providers know this platform, read from settings. Errors never contain a key."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Final

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from taskbell.delivery.providers.http2 import AddressMalformed, read_address

_ACCOUNT_FIELDS: Final = ("project_id", "client_email", "private_key_id", "private_key", "token_uri")


class CredentialsMalformed(ValueError):
    """The setting has another form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccount:
    """A Google service account, as the file that the console of Firebase makes."""

    project_id: str
    client_email: str
    key_id: str
    key: RSAKey
    token_uri: str

    @classmethod
    def parse(cls, text: str) -> ServiceAccount:
        """Read the JSON document. Raises `CredentialsMalformed`."""
        try:
            document: Any = orjson.loads(text)
        except ValueError:
            raise CredentialsMalformed("not JSON") from None
        if not isinstance(document, dict) or document.get("type") != "service_account":
            raise CredentialsMalformed('not a service account: its "type" must be "service_account"')
        for name in _ACCOUNT_FIELDS:
            if not isinstance(document.get(name), str) or not document[name]:
                raise CredentialsMalformed(f"the service account has no {name}")
        try:
            key = RSAKey.import_key(document["private_key"])
        except (ValueError, TypeError, JoseError, UnsupportedAlgorithm):
            raise CredentialsMalformed("the private_key of the service account is not an RSA key") from None
        if not key.is_private:
            raise CredentialsMalformed("the private_key of the service account is a public key")
        try:
            read_address(document["token_uri"], any_port=True)
        except AddressMalformed:
            raise CredentialsMalformed("the token_uri of the service account is not an https:// address") from None
        return cls(
            project_id=document["project_id"],
            client_email=document["client_email"],
            key_id=document["private_key_id"],
            key=key,
            token_uri=document["token_uri"],
        )


def read_apns_key(text: str) -> ECKey:
    """Read the PEM text of the .p8 file from Apple: a private key on P-256. Raises `CredentialsMalformed`."""
    try:
        key = ECKey.import_key(text)
    except (ValueError, TypeError, JoseError, UnsupportedAlgorithm):
        raise CredentialsMalformed("not the PEM text of a .p8 file") from None
    if not key.is_private or key.curve_name != "P-256":
        raise CredentialsMalformed("not a private key on the curve P-256")
    return key


@dataclass(frozen=True, slots=True, kw_only=True)
class VapidKey:
    """The key that browsers know this platform by (RFC 8292). `public` is base64url, as clients subscribe with it."""

    key: ECKey
    public: str

    @classmethod
    def parse(cls, text: str) -> VapidKey:
        """Read the private number: 32 bytes in base64url without padding. Raises `CredentialsMalformed`."""
        try:
            number = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            if len(number) != 32:
                raise CredentialsMalformed("must be 32 bytes in base64url")
            private = ec.derive_private_key(int.from_bytes(number), ec.SECP256R1())
        except binascii.Error:
            raise CredentialsMalformed("must be 32 bytes in base64url") from None
        except ValueError as refused:
            raise CredentialsMalformed("must be 32 bytes in base64url that are a key on P-256") from refused
        point = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return cls(key=ECKey.import_key(private), public=base64.urlsafe_b64encode(point).rstrip(b"=").decode())
