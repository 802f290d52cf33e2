"""E-mail addresses in the form in which they are stored, compared and counted."""

from __future__ import annotations

import unicodedata

from email_validator import EmailNotValidError, validate_email


class EmailMalformed(ValueError):
    """The text is not an e-mail address."""


def normalised(text: str) -> str:
    """The address in lower case, its domain in Unicode, all in Unicode NFC.

    `Ann@Example.com` and `ann@example.com` are the same, although RFC 5321 would allow a difference. No name server is
    asked, and addresses of private networks (`ann@corp.internal`) are valid.

    Raises:
        EmailMalformed: It is not an e-mail address, or is longer than 254 characters (RFC 5321).
    """
    try:
        found = validate_email(text, check_deliverability=False, globally_deliverable=False)
    except (EmailNotValidError, UnicodeError) as refused:
        raise EmailMalformed(str(refused)) from refused
    if "." not in found.domain:
        raise EmailMalformed("The part after the @-sign is not valid. It should have a period.")
    return _lower(found.normalized)


def normalised_or_same(text: str) -> str:
    """The same for a sign-in: a malformed address belongs to no account, and its text counts its attempts."""
    try:
        return normalised(text)
    except EmailMalformed:
        return _lower(text.strip())


def _lower(text: str) -> str:
    """Lower case in NFC: some letters are one character only in lower case (H with a macron below, U+1E96)."""
    return unicodedata.normalize("NFC", text.lower())
