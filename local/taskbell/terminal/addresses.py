"""Which addresses a token is sent to."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit, urlunsplit

from taskbell.terminal.errors import Misused


def checked(url: str, *, insecure: bool = False) -> str:
    """The base address of an installation, without a slash at the end.

    Plain http would show the password and the token to everybody on the way, so it must be asked for (`insecure`),
    except on this machine.

    Raises:
        Misused: It is no such address.
    """
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        parts.port  # noqa: B018 -- reading it raises
    except ValueError:
        raise Misused(f"not an address: {url}") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise Misused(f"not an address like https://tasks.example.com: {url}")
    if parts.scheme == "http" and not insecure and not is_here(parts.hostname):
        raise Misused(
            f"{url} is not encrypted: everybody on the way could read your password and your token;"
            " use https, or --insecure-http on a network that you trust"
        )
    return urlunsplit(parts._replace(path=parts.path.rstrip("/").removesuffix("/v1")))


def is_here(host: str) -> bool:
    """Whether a host is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
