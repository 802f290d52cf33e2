"""URLs of PostgreSQL: whether one names a server, how to call that server without its password, a way by a pooler."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

_SCHEMES = ("postgresql", "postgres")


def server_url_fault(url: str) -> str | None:
    """What is wrong with the URL of one server; None if nothing is. It quotes nothing of the URL."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "the port is not a number, or the host is malformed"
    if parts.scheme not in _SCHEMES:
        return "begin with postgresql:// (a comma in a password is written %2C)"
    if not parts.hostname:
        return "name a host"
    if not parts.username:
        return "name a role"
    if port == 0:
        return "the port lies between 1 and 65535"
    return None


def server_name(url: str) -> str:
    """Host and port of the server at a URL, as logs and metrics name it."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return f"[{host}]:{parts.port or 5432}" if ":" in host else f"{host}:{parts.port or 5432}"


def through(url: str, pooler: str | None) -> str:
    """The way to the same database, under the same role, by a pooler at `host:port`; without one, the URL itself.

    What the URL says after `?` is about its server. The pooler is near, in a network that only the platform uses: this
    way has no TLS, and nobody asks for it.
    """
    if pooler is None:
        return url
    parts = urlsplit(url)
    account, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{account}{at}{pooler}", query="sslmode=disable"))
