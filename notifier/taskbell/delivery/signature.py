"""Signs webhooks by Standard Webhooks, symmetric scheme `v1`."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence

from taskbell.contract.webhooks import HEADER_ID, HEADER_SIGNATURE, HEADER_TIMESTAMP, SECRET_PREFIX


def sign(*, message_id: str, timestamp: int, body: bytes, secret: str) -> str:
    """Return one signature: HMAC-SHA256 of `id.timestamp.body`, with the secret's bytes as the key."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def signed_headers(*, message_id: str, timestamp: int, body: bytes, secrets: Sequence[str]) -> dict[str, str]:
    """Return the three headers. There is one signature for each secret: two during a rotation."""
    found = (sign(message_id=message_id, timestamp=timestamp, body=body, secret=secret) for secret in secrets)
    return {HEADER_ID: message_id, HEADER_TIMESTAMP: str(timestamp), HEADER_SIGNATURE: " ".join(found)}
