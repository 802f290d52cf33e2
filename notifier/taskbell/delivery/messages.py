"""Writes the e-mail of a notification: plain text, and no part of the notification can add a header."""

from __future__ import annotations

from datetime import UTC, datetime
from email.errors import HeaderDefect
from email.headerregistry import Address, HeaderRegistry
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any, cast
from uuid import UUID

import idna
import orjson

_SUBJECT_LENGTH = 200


class MailboxMalformed(ValueError):
    """The text is not a mailbox (RFC 5322, section 3.4)."""


def mailbox(text: str) -> Address:
    """Read `name <local@domain>` or only an address.

    Raises:
        MailboxMalformed: The text is not exactly one of these.
    """
    try:
        header: Any = HeaderRegistry()("From", text)
    except (ValueError, HeaderDefect):
        raise MailboxMalformed("not one e-mail address") from None
    if len(header.addresses) != 1 or header.defects or not header.addresses[0].domain:
        raise MailboxMalformed("not one e-mail address")
    return cast("Address", header.addresses[0])


def recipient_mailbox(text: str) -> Address:
    """Read the address of an account. Its domain becomes Punycode, which each mail server accepts.

    Raises:
        MailboxMalformed: The text is not an address.
    """
    name, _, domain = text.rpartition("@")
    try:
        host = domain if domain.isascii() else idna.encode(domain, uts46=True).decode("ascii")
        found = Address(username=name, domain=host)
    except ValueError:
        raise MailboxMalformed("not one e-mail address") from None
    if not name or not domain:
        raise MailboxMalformed("not one e-mail address")
    return found


def one_line(text: str, *, at_most: int = _SUBJECT_LENGTH) -> str:
    """Return the text without line breaks and control characters, for a header."""
    kept = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(kept.split())[:at_most]


def compose(*, delivery_id: UUID, payload: str, sender: Address, recipient: str, now: float) -> EmailMessage:
    """Write the e-mail of a `notification.created` event.

    Its `Message-ID` contains the delivery's id, so that a message that is sent twice can be recognised.

    Raises:
        KeyError: The payload is another event.
        MailboxMalformed: The recipient is not an address.
    """
    notification: dict[str, Any] = orjson.loads(payload)["data"]
    title = one_line(notification["title"])
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = recipient_mailbox(recipient)
    message["Subject"] = title
    message["Date"] = format_datetime(datetime.fromtimestamp(now, UTC))
    message["Message-ID"] = f"<{delivery_id}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    message["X-Taskbell-Kind"] = one_line(str(notification["kind"]))
    lines = [
        title,
        "",
        str(notification.get("body") or "").strip(),
        "",
        "--",
        "Sent by Taskbell; your settings decide.",
    ]
    message.set_content("\n".join(lines).replace("\x00", "") + "\n", cte="quoted-printable")
    return message
