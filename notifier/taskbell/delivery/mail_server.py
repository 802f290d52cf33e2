"""The mail server that takes e-mail, as its URL names it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote, urlsplit


class MailServerMalformed(ValueError):
    """The URL does not name a mail server. The error's text never contains the URL, which may hold a password."""


class Encryption(StrEnum):
    """How the connection to a mail server is encrypted; the values are URL schemes."""

    NONE = "smtp"
    STARTTLS = "smtp+starttls"
    """RFC 3207, required: a server that does not offer it gets no message."""
    TLS = "smtps"
    """RFC 8314."""


_PORTS = {Encryption.NONE: 25, Encryption.STARTTLS: 587, Encryption.TLS: 465}


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """The address of a mail server, and the account to use."""

    encryption: Encryption
    host: str
    port: int
    username: str | None
    password: str | None

    @classmethod
    def parse(cls, url: str) -> MailServer:
        """Read `smtp|smtp+starttls|smtps://[user:password@]host[:port]`; user and password percent-encoded.

        Raises:
            MailServerMalformed: The URL has another form.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
            encryption = Encryption(parts.scheme)
        except ValueError:
            raise MailServerMalformed("expected smtp://, smtp+starttls:// or smtps:// with a host and a port") from None
        if not parts.hostname or parts.path not in {"", "/"} or parts.query or parts.fragment:
            raise MailServerMalformed("expected a host, and nothing after the port")
        return cls(
            encryption=encryption,
            host=parts.hostname,
            port=port or _PORTS[encryption],
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
        )
