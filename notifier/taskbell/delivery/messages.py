"""A notification as an e-mail: plain text, nothing of it able to become a header."""

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
    """The text is no mailbox (RFC 5322, section 3.4)."""


def mailbox(text: str) -> Address:
    """Read `name <local@domain>` or an address alone.

    Raises:
        MailboxMalformed: It is neither, or more than one.
    """
    try:
        header: Any = HeaderRegistry()("From", text)
    except (ValueError, HeaderDefect):
        raise MailboxMalformed("not one e-mail address") from None
    if len(header.addresses) != 1 or header.defects or not header.addresses[0].domain:
        raise MailboxMalformed("not one e-mail address")
    return cast("Address", header.addresses[0])


def recipient_mailbox(text: str) -> Address:
    """Read the address of an account; its domain becomes Punycode, which every mail server takes.

    Raises:
        MailboxMalformed: It is none.
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
    """The text without line breaks and control characters, fit for a header."""
    kept = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(kept.split())[:at_most]


def compose(*, delivery_id: UUID, payload: str, sender: Address, recipient: str, now: float) -> EmailMessage:
    """Write the e-mail that tells of a `notification.created` event.

    Its `Message-ID` is made of the delivery's id: a message that is sent twice can be told by it.

    Raises:
        KeyError: The payload is no such event.
        MailboxMalformed: The recipient is no address.
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
