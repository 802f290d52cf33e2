"""The form of a webhook's address and secret. `delivery` checks at every attempt where the address leads."""

from __future__ import annotations

import base64
import secrets
from urllib.parse import urlsplit

from taskbell.contract.webhooks import SECRET_PREFIX

MOST_WEBHOOKS = 20
"""Most webhooks of one workspace: each of its events goes to all of them."""


def url_fault(url: str, *, allow_http: bool) -> str | None:  # noqa: PLR0911 -- one return per fault
    """Why an address cannot be a webhook's, for people; None if it can."""
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return "only printable ASCII characters, without spaces; write names of other scripts in Punycode"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "not a URL"
    if parts.scheme != "https" and not (allow_http and parts.scheme == "http"):
        return "must begin with https://" if not allow_http else "must begin with https:// or http://"
    if not parts.hostname or port == 0:
        return "names no host"
    if "@" in parts.netloc:
        return "must hold no user and no password; verify the signature instead"
    if parts.fragment:
        return "must have no fragment"
    return None


def new_secret() -> str:
    """A new signing secret (Standard Webhooks: 24 to 64 random bytes)."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()
