"""Writes e-mails: text and HTML, with headers that no part of a notification can add to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.errors import HeaderDefect
from email.headerregistry import Address, BaseHeader, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP, Policy
from email.utils import format_datetime
from typing import Any, Protocol, cast
from unicodedata import normalize
from uuid import UUID

import idna
import orjson

from taskbell.contract.emails import (
    CONFIRMATION_TYPE,
    EMAIL_CHANGE_TYPE,
    EMAIL_CHANGED_TYPE,
    INVITATION_TYPE,
    PASSWORD_RESET_TYPE,
)
from taskbell.contract.notices import Kind
from taskbell.delivery.letters import Letter
from taskbell.delivery.links import Links
from taskbell.delivery.times import told_body, told_time

_SUBJECT_LENGTH = 200
_NAME_LENGTH = 100
_LINKABLE = re.compile(r"[@\\]|://|\S[.:/\u3002]\S|www")
"""What a mail program may make a link of: `example.com`, `host:80`, `a/b`, an address; also with other full stops."""
_PLAIN_ADDRESS = re.compile(r"(?!www)[\w.+-]+@[^\s@/]+")
"""An address that no mail program takes for something else: `evil.example/x@example.com` begins like a link."""
_JOINERS = "\u200c\u200d"
"""They print nothing, and yet words and emoji are made with them."""


class _Unfolded(UnstructuredHeader, BaseHeader):
    """A header that programs read: one line, even if it is long. Folding would encode what fits no line (RFC 2047)."""

    def fold(self, *, policy: Policy) -> str:
        """Return the header as a line."""
        return f"{self.name}: {self}{policy.linesep}"


_HEADERS = HeaderRegistry()
for _name in ("in-reply-to", "list-id", "list-unsubscribe", "references"):
    _HEADERS.map_to_type(_name, _Unfolded)
_POLICY = SMTP.clone(header_factory=_HEADERS)


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
    kept = "".join(character if character.isprintable() or character in _JOINERS else " " for character in text)
    return " ".join(kept.split())[:at_most]


def harmless(text: str | None) -> str | None:
    """Return a name as one line, or None if a mail program could show a part of it as a link or an address."""
    name = one_line(text or "", at_most=_NAME_LENGTH)
    return None if not name or _LINKABLE.search(normalize("NFKC", name)) else name


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Who gets an e-mail.

    Attributes:
        address: The account's address.
        zone: IANA name of the account's time zone.
        unsubscribe_token: Switches the account's e-mail off; None: the e-mail cannot offer that.
    """

    address: str
    zone: str = "UTC"
    unsubscribe_token: UUID | None = None


def compose(
    *, delivery_id: UUID, payload: str, sender: Address, reader: Reader, now: float, links: Links, others: int = 0
) -> EmailMessage:
    """Write the e-mail of a `notification.created` event, or one about the account itself.

    Its `Message-ID` contains the delivery's id, so that a message that is sent twice can be recognised. Messages about
    one task refer to one id that stands for the task, so that mail programs show them as one conversation.

    Args:
        delivery_id: The delivery.
        payload: The event's document.
        sender: From whom it is.
        reader: Who gets it.
        now: Unix time.
        links: Where its links lead.
        others: How many further notifications it speaks for.

    Raises:
        KeyError: The payload is another event.
        MailboxMalformed: The recipient is not an address.
    """
    document: dict[str, Any] = orjson.loads(payload)
    data: dict[str, Any] = document["data"]
    message = EmailMessage(policy=_POLICY)
    message["From"] = sender
    message["To"] = recipient_mailbox(data.get("to") or reader.address)
    if (write := _OF_ACCOUNTS.get(document.get("type", ""))) is not None:
        kind, letter = document["type"].removeprefix("email."), write(data, zone=reader.zone, links=links)
    else:
        kind, letter = str(data["kind"]), _notification(data, reader=reader, links=links, others=others)
        _add_list_headers(message, domain=sender.domain, unsubscribe=letter.unsubscribe)
        if data.get("task_id") and not others:
            message["In-Reply-To"] = message["References"] = f"<task.{UUID(data['task_id'])}@{sender.domain}>"
    message["Subject"] = one_line(letter.title)
    message["Date"] = format_datetime(datetime.fromtimestamp(now, UTC))
    message["Message-ID"] = f"<{delivery_id}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    message["X-Taskbell-Kind"] = one_line(kind)
    message.set_content(letter.text, cte="quoted-printable")
    message.add_alternative(letter.html, subtype="html", cte="quoted-printable")
    return message


def _add_list_headers(message: EmailMessage, *, domain: str, unsubscribe: str | None) -> None:
    """Add the name of the list (RFC 2919) and how to leave it (RFC 2369), by one click (RFC 8058) if it is https."""
    message["List-Id"] = f"Taskbell notifications <notifications.{domain}>"
    if unsubscribe is None:
        return
    message["List-Unsubscribe"] = f"<{unsubscribe}>"
    if unsubscribe.startswith("https://"):
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"


def _notification(data: dict[str, Any], *, reader: Reader, links: Links, others: int) -> Letter:
    title = one_line(data["title"])
    body = told_body(str(data.get("body") or ""), reader.zone)
    paragraphs = [body.replace(", ", "\n") if data["kind"] == Kind.DIGEST else body]
    if others:
        title = f"{one_line(title, at_most=_SUBJECT_LENGTH - 20)} (+{others})"
        paragraphs.append(
            f"While it was quiet, {_counted(others)} came. Your inbox has {'it' if others == 1 else 'them'}."
        )
    footer = ["Taskbell"]
    if data.get("created_at"):
        footer = [f"Taskbell, {told_time(datetime.fromisoformat(data['created_at']), reader.zone)}"]
    address = links.task(workspace_id=_id(data.get("workspace_id")), task_id=_id(data.get("task_id")))
    unsubscribe = links.unsubscribe(reader.unsubscribe_token)
    if not unsubscribe:
        footer.append("Your settings decide what comes by e-mail.")
    return Letter(
        title=title,
        paragraphs=tuple(paragraphs),
        link=(address, "Open the task") if address else None,
        footer=tuple(footer),
        unsubscribe=unsubscribe,
    )


def _with_token(
    data: dict[str, Any],
    *,
    address: str | None,
    zone: str,
    title: str,
    asked: str,
    done: str,
    otherwise: str,
    to: str,
    where: str = "",
) -> Letter:
    """A letter with a token that works once, in the link at `address`; without one it tells the token itself.

    No word of it is a user's choice: whoever asked for it may be a stranger to the recipient.
    """
    token = str(data["token"])
    until = told_time(datetime.fromisoformat(data["expires_at"]), zone)
    return Letter(
        title=title,
        paragraphs=(
            f"Somebody, probably you, asked Taskbell to {asked}.",
            f"It can be {done} once, until {until}. If it was not you, do nothing: then {otherwise}.",
            f"To {to}, open the link{where}." if address else f"To {to}, enter this code:",
        ),
        code=None if address else token,
        link=(address, to.capitalize()) if address else None,
    )


def _confirmation(data: dict[str, Any], *, zone: str, links: Links) -> Letter:
    return _with_token(
        data,
        address=links.confirmation(str(data["token"])),
        zone=zone,
        title="Confirm your e-mail address",
        asked="send notifications to this address",
        done="confirmed",
        otherwise="no notification is sent",
        to="confirm the address",
        where=" where you are signed in",
    )


def _password_reset(data: dict[str, Any], *, zone: str, links: Links) -> Letter:
    return _with_token(
        data,
        address=links.password_reset(str(data["token"])),
        zone=zone,
        title="Reset your password",
        asked="reset the password of the account with this address",
        done="done",
        otherwise="your password stays",
        to="choose a new password",
    )


def _change(data: dict[str, Any], *, zone: str, links: Links) -> Letter:
    return _with_token(
        data,
        address=links.confirmation(str(data["token"])),
        zone=zone,
        title="Confirm your new e-mail address",
        asked="use this address for an account",
        done="confirmed",
        otherwise="it is not used",
        to="confirm the address",
        where=" where you are signed in",
    )


def _changed(_data: dict[str, Any], *, zone: str, links: Links) -> Letter:  # noqa: ARG001 -- like the others
    return Letter(
        title="Your e-mail address was changed",
        paragraphs=(
            "The Taskbell account that had this address has another one now.\nAll its messages go there.",
            "If it was not you, somebody else knows your password: tell those who run this installation.",
        ),
    )


def _invitation(data: dict[str, Any], *, zone: str, links: Links) -> Letter:
    """Names are in it only where no mail program would make a link of them: they are a stranger's choice."""
    token = str(data["token"])
    address = links.invitation(token)
    workspace, inviter = harmless(data.get("workspace_name")), harmless(data.get("inviter_name"))
    by, where = inviter or "Somebody", f"“{workspace}” on Taskbell" if workspace else "a workspace on Taskbell"
    if _PLAIN_ADDRESS.fullmatch(address_of_inviter := data.get("inviter_email") or ""):
        by += f" ({address_of_inviter})"
    until = told_time(datetime.fromisoformat(data["expires_at"]), zone)
    return Letter(
        title="Invitation to a workspace",
        paragraphs=(
            f"{by} invites you to {where} as {data['role']}.",
            f"You can accept once, until {until}, with an account that has this address: sign in, or register one.",
            "If you do not know who it is, do nothing: then nobody learns anything of you.",
            "To accept the invitation, open the link." if address else "To accept the invitation, enter this code:",
        ),
        code=None if address else token,
        link=(address, "Accept the invitation") if address else None,
    )


class _Write(Protocol):
    def __call__(self, data: dict[str, Any], /, *, zone: str, links: Links) -> Letter: ...


_OF_ACCOUNTS: Mapping[str, _Write] = {
    CONFIRMATION_TYPE: _confirmation,
    PASSWORD_RESET_TYPE: _password_reset,
    EMAIL_CHANGE_TYPE: _change,
    EMAIL_CHANGED_TYPE: _changed,
    INVITATION_TYPE: _invitation,
}


def _counted(others: int) -> str:
    return "one further notification" if others == 1 else f"{others:,} further notifications"


def _id(text: str | None) -> UUID | None:
    return UUID(text) if text else None
