"""Where a provider may send people back to: addresses of clients that the settings list."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit


def redirect_fault(address: str) -> str | None:
    """What is wrong with an address of the list, or None.

    It is `https://`, `http://` on the client's own machine, or an app's own scheme with a period in it (RFC 8252).
    """
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        return "cannot be read"
    if not address.isascii() or not address.isprintable() or " " in address or parts.fragment or "*" in address:
        return "has a space, a fragment, a * or a character that is not ASCII"
    if "." in parts.scheme or (parts.scheme == "https" and parts.hostname):
        return None
    if parts.scheme == "http" and (_is_own_machine(parts) or parts.hostname == "localhost"):
        return None
    return "begins neither with https:// nor with http://127.0.0.1, nor with a scheme like com.example.app:"


def is_allowed(address: str, *, listed: Collection[str]) -> bool:
    """Whether an address is in the list, character by character.

    A listed address of the client's own machine without a port stands for every port: the system chooses one for each
    sign-in (RFC 8252, section 7.3).
    """
    if address in listed:
        return True
    try:
        parts = urlsplit(address)
        without_port = parts._replace(netloc=_host(parts)).geturl() if parts.port else ""
    except ValueError:
        return False
    return parts.scheme == "http" and _is_own_machine(parts) and without_port in listed


def _host(parts: SplitResult) -> str:
    """The host as the list has it; an address with a user is never in the list."""
    if "@" in parts.netloc:
        return parts.netloc
    host = parts.hostname or ""
    return f"[{host}]" if ":" in host else host


def _is_own_machine(parts: SplitResult) -> bool:
    """By its IP address: a name could lead elsewhere (RFC 8252, section 8.3)."""
    try:
        return ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False
