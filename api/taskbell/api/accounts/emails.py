"""E-mail addresses in the one form in which they are stored, compared and counted."""

from __future__ import annotations

from email_validator import EmailNotValidError, validate_email


class EmailMalformed(ValueError):
    """The text is no e-mail address."""


def normalised(text: str) -> str:
    """The address in Unicode NFC, its domain in Unicode, all in lower case.

    Nobody tells `Ann@Example.com` from `ann@example.com`, though RFC 5321 would permit it. No name server is asked,
    and addresses of private networks (`ann@corp.internal`) are fine.

    Raises:
        EmailMalformed: It is no e-mail address, or longer than 254 characters (RFC 5321).
    """
    try:
        found = validate_email(text, check_deliverability=False, globally_deliverable=False)
    except (EmailNotValidError, UnicodeError) as refused:
        raise EmailMalformed(str(refused)) from refused
    if "." not in found.domain:
        raise EmailMalformed("The part after the @-sign is not valid. It should have a period.")
    return found.normalized.lower()


def normalised_or_same(text: str) -> str:
    """The same for a sign-in: what is no address belongs to no account, and is counted under itself."""
    try:
        return normalised(text)
    except EmailMalformed:
        return text.strip().lower()
