"""The form of a push service's address. `delivery` checks at every attempt where an address really leads."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from taskbell.api.deliveries.policy import url_fault

_HTTPS = 443
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.[a-z][a-z0-9-]{0,61}[a-z0-9]\.?")
"""A host name of at least two labels. The last one begins with a letter, so that no form of an IP address fits."""
_PRIVATE = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".test", ".invalid")
"""Names that lead to no public address: RFC 6761, RFC 6762, RFC 8375, and ICANN's reserved `internal`."""


def push_service_fault(url: str, *, allow_private: bool) -> str | None:
    """Why an address cannot be a push service's, for people; None if it can.

    `allow_private` permits hosts that are not public and other ports, for tests and a platform on one machine.
    """
    fault = url_fault(url, allow_http=False)
    if fault is not None or allow_private:
        return fault
    parts = urlsplit(url)
    if parts.port not in {None, _HTTPS}:
        return "must have no port"
    host = (parts.hostname or "").lower()
    if not _NAME.fullmatch(host) or host.rstrip(".").endswith(_PRIVATE):
        return "names no public host"
    return None
