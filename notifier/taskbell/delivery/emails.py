"""The e-mail transport: sends one message to a mail server by SMTP (RFC 5321)."""

from __future__ import annotations

import asyncio
import time
from email.message import EmailMessage

import aiosmtplib
import structlog

from taskbell.delivery.claims import Claim
from taskbell.delivery.links import Links
from taskbell.delivery.mail_server import Encryption, MailServer
from taskbell.delivery.messages import MailboxMalformed, Reader, compose, mailbox
from taskbell.delivery.policy import Outcome

_log = structlog.get_logger(__name__)


class EmailTransport:
    """Sends notifications by e-mail."""

    def __init__(self, server: MailServer, *, sender: str, timeout: float, links: Links) -> None:
        """Take the mail server, the sender's address, the longest time for one message in seconds, and the links."""
        self._links = links
        self._server = server
        self._sender = mailbox(sender)
        self._timeout = timeout

    async def send(self, claim: Claim) -> Outcome:
        """Attempt one delivery. A fault of the server or the network is an outcome, never an exception."""
        if claim.email is None:
            return Outcome(delivered=False, error="e-mail is not wanted any more", permanent=True)
        try:
            message = compose(
                delivery_id=claim.id,
                payload=claim.payload,
                sender=self._sender,
                reader=Reader(address=claim.email, zone=claim.zone, unsubscribe_token=claim.unsubscribe_token),
                now=time.time(),
                links=self._links,
                others=claim.others,
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
        """Return once the server has accepted it. Waiting for QUIT could fail, and the message would be sent twice."""
        server = self._server
        smtp = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.encryption is Encryption.TLS,
            start_tls=server.encryption is Encryption.STARTTLS,
            username=server.username,
            password=server.password,
            timeout=self._timeout,
        )
        try:
            async with asyncio.timeout(self._timeout):
                await smtp.connect()
                await smtp.send_message(message)
            if isinstance(smtp.transport, asyncio.WriteTransport):
                smtp.transport.write(b"QUIT\r\n")
        finally:
            smtp.close()


def judge(failed: aiosmtplib.SMTPException) -> Outcome:
    """Judge a failure: a permanent refusal (5xx) of the recipient or the message is final; all others are retried."""
    name = type(failed).__name__
    if isinstance(failed, aiosmtplib.SMTPRecipientsRefused):
        codes = [refused.code for refused in failed.recipients]
        return Outcome(delivered=False, status=max(codes), error=name, permanent=min(codes) >= 500)
    if isinstance(failed, aiosmtplib.SMTPDataError):
        return Outcome(delivered=False, status=failed.code, error=name, permanent=failed.code >= 500)
    if isinstance(failed, aiosmtplib.SMTPResponseException):
        if failed.code >= 500:
            # The configuration is wrong, not the message: a wrong password or sender must lose none.
            _log.error("mail_server_refuses_us", error=name, code=failed.code)
        return Outcome(delivered=False, status=failed.code, error=name)
    return Outcome(delivered=False, error=name)
