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

from taskbell.contract.emails import CONFIRMATION_TYPE

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


def compose(
    *, delivery_id: UUID, payload: str, sender: Address, recipient: str, now: float, confirm_at: str
) -> EmailMessage:
    """Write the e-mail of a `notification.created` event, or the one that confirms an address.

    `confirm_at` is the page to which the link of a confirmation leads; without it the message has a code.

    Its `Message-ID` contains the delivery's id, so that a message that is sent twice can be recognised.

    Raises:
        KeyError: The payload is another event.
        MailboxMalformed: The recipient is not an address.
    """
    document: dict[str, Any] = orjson.loads(payload)
    data: dict[str, Any] = document["data"]
    if document.get("type") == CONFIRMATION_TYPE:
        kind, title, lines = "confirmation", "Confirm your e-mail address", _confirmation(data, confirm_at=confirm_at)
    else:
        kind, title, lines = str(data["kind"]), one_line(data["title"]), _notification(data)
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = recipient_mailbox(recipient)
    message["Subject"] = title
    message["Date"] = format_datetime(datetime.fromtimestamp(now, UTC))
    message["Message-ID"] = f"<{delivery_id}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    message["X-Taskbell-Kind"] = one_line(kind)
    message.set_content("\n".join(lines).replace("\x00", "") + "\n", cte="quoted-printable")
    return message


def _notification(data: dict[str, Any]) -> list[str]:
    body = str(data.get("body") or "").strip()
    return [one_line(data["title"]), "", body, "", "--", "Sent by Taskbell; your settings decide."]


def _confirmation(data: dict[str, Any], *, confirm_at: str) -> list[str]:
    """No word of it is a user's choice: whoever made the account may be a stranger to the recipient.

    The token is in the fragment of the link, which browsers send to no server.
    """
    token = str(data["token"])
    return [
        "Somebody, probably you, asked Taskbell to send notifications to this address.",
        "",
        "To allow it, open this link where you are signed in:" if confirm_at else "To allow it, enter this code:",
        "",
        f"{confirm_at}#token={token}" if confirm_at else token,
        "",
        f"It works once, until {data['expires_at']}. If it was not you, do nothing: then no notification is sent.",
    ]
