"""The e-mail channel: one message handed to a mail relay by SMTP (RFC 5321)."""

from __future__ import annotations

import asyncio
import time
from email.message import EmailMessage

import aiosmtplib
import structlog

from taskbell.delivery.messages import MailboxMalformed, compose, mailbox
from taskbell.delivery.policy import Outcome
from taskbell.delivery.relay_host import Encryption, RelayHost
from taskbell.delivery.repository import Claim

_log = structlog.get_logger(__name__)


class EmailChannel:
    """Sends notifications by e-mail."""

    def __init__(self, host: RelayHost, *, sender: str, timeout: float) -> None:
        """Take the relay, who the messages are from, and the seconds that one may take."""
        self._host = host
        self._sender = mailbox(sender)
        self._timeout = timeout

    async def send(self, claim: Claim) -> Outcome:
        """Attempt one delivery. Never raises for what the relay or the network does."""
        if claim.email is None:
            return Outcome(delivered=False, error="e-mail is not wanted any more", permanent=True)
        try:
            message = compose(
                delivery_id=claim.id,
                payload=claim.payload,
                sender=self._sender,
                recipient=claim.email,
                now=time.time(),
            )
        except (KeyError, TypeError, ValueError, MailboxMalformed) as malformed:
            return Outcome(delivered=False, error=f"no message: {type(malformed).__name__}", permanent=True)
        try:
            await self._hand_over(message)
        except aiosmtplib.SMTPException as failed:
            return judge(failed)
        except OSError as failed:
            return Outcome(delivered=False, error=type(failed).__name__)
        return Outcome(delivered=True, status=250)

    async def _hand_over(self, message: EmailMessage) -> None:
        """Return once the relay has taken it: no goodbye is waited for, or one that fails may send it twice."""
        host = self._host
        relay = aiosmtplib.SMTP(
            hostname=host.host,
            port=host.port,
            use_tls=host.encryption is Encryption.TLS,
            start_tls=host.encryption is Encryption.STARTTLS,
            username=host.username,
            password=host.password,
            timeout=self._timeout,
        )
        try:
            async with asyncio.timeout(self._timeout):
                await relay.connect()
                await relay.send_message(message)
            if isinstance(relay.transport, asyncio.WriteTransport):
                relay.transport.write(b"QUIT\r\n")
        finally:
            relay.close()


class NoRelay:
    """Stands for the mail relay where none is set up: its e-mails have the time of all others to find one."""

    async def send(self, _claim: Claim) -> Outcome:
        """Say so."""
        return Outcome(delivered=False, error="no mail relay is set up")


def judge(failed: aiosmtplib.SMTPException) -> Outcome:
    """What a failure means: a permanent no (5xx) to recipient or message ends it, everything else is tried again."""
    name = type(failed).__name__
    if isinstance(failed, aiosmtplib.SMTPRecipientsRefused):
        codes = [refused.code for refused in failed.recipients]
        return Outcome(delivered=False, status=max(codes), error=name, permanent=min(codes) >= 500)
    if isinstance(failed, aiosmtplib.SMTPDataError):
        return Outcome(delivered=False, status=failed.code, error=name, permanent=failed.code >= 500)
    if isinstance(failed, aiosmtplib.SMTPResponseException):
        if failed.code >= 500:
            # Ours to mend, not the message's fault: none may be lost by a wrong password or sender.
            _log.error("mail_relay_refuses_us", error=name, code=failed.code)
        return Outcome(delivered=False, status=failed.code, error=name)
    return Outcome(delivered=False, error=name)
