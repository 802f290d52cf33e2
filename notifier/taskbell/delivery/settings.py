"""Settings of the delivery workers."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from taskbell.delivery.links import LinkMalformed, check_task_template
from taskbell.delivery.mail_server import MailServer, MailServerMalformed
from taskbell.delivery.messages import MailboxMalformed, mailbox
from taskbell.delivery.providers.settings import ProviderSettings
from taskbell.kit.postgres.settings import PooledSettings


class DeliverySettings(ProviderSettings, PooledSettings):
    """Environment variables of a delivery worker, prefix `TASKBELL_`."""

    database_url: SecretStr
    """PostgreSQL primary, with the rights of role `taskbell_delivery`."""
    delivery_database_pool_size: int = Field(default=8, ge=2, le=100)
    """Most connections to PostgreSQL."""
    nats_url: SecretStr
    """NATS with JetStream: the event stream and the stream of dead letters."""
    delivery_batch_size: int = Field(default=200, ge=1, le=5_000)
    """Events read from the stream and written to the ledger at a time."""
    delivery_concurrency: int = Field(default=64, ge=1, le=1_000)
    """Attempts that this process makes at a time. While all are taken it reads no events, and the consumer's backlog
    grows."""
    delivery_concurrency_per_endpoint: int = Field(default=8, ge=1, le=1_000)
    """Of those, at most how many go to one webhook, or to the mail server. One that has not answered yet gets one."""
    delivery_concurrency_per_workspace: int = Field(default=32, ge=1, le=1_000)
    """Of those, at most how many are for one workspace while it is alone; with TASKBELL_DELIVERY_CONCURRENCY or more
    nothing bounds a workspace. The more workspaces have attempts in flight, the fewer each may have, so that some
    places are free for the next one. Webhooks that fail or take longer than a second get at most half of them, and of
    all places."""
    delivery_lease: timedelta = Field(default=timedelta(seconds=60), ge=timedelta(seconds=1))
    """How long a worker may keep a delivery; if the worker dies, another one tries it after that. Longer than
    TASKBELL_PUSH_TIMEOUT, TASKBELL_WEBHOOK_TIMEOUT and TASKBELL_SMTP_TIMEOUT."""
    delivery_retry_for: timedelta = Field(default=timedelta(days=1), gt=timedelta(0), le=timedelta(days=30))
    """How long a failing delivery is retried before it is dead."""
    delivery_retry_first: timedelta = Field(default=timedelta(seconds=5), gt=timedelta(0))
    """The first retry comes after a random part of this time; for each further one the time doubles."""
    delivery_retry_longest: timedelta = Field(default=timedelta(hours=2), gt=timedelta(0))
    """The upper limit of that doubling."""
    delivery_max_deliver: int = Field(default=5, ge=1, le=100)
    """How often an event that cannot be processed is tried before it becomes a dead letter."""
    delivery_poll: timedelta = Field(default=timedelta(milliseconds=500), gt=timedelta(0))
    """How often an idle worker looks for deliveries that are due again or that other workers left."""
    delivery_drain_timeout: timedelta = Field(default=timedelta(seconds=20), ge=timedelta(0))
    """How long attempts in flight may take after SIGTERM; the worker then gives up its other leases."""
    webhook_timeout: timedelta = Field(default=timedelta(seconds=15), gt=timedelta(0))
    """How long an attempt may take, from resolving the receiver's name to the end of its response."""
    webhook_allow_private: bool = False
    """Also call loopback, private and link-local addresses. Only for tests and development: a webhook's address is user
    input, and reaches whatever this process reaches."""
    smtp_url: SecretStr | None = None
    """Mail server: `smtps://user:password@host:465`, `smtp+starttls://...:587`, or `smtp://host:25` without encryption.
    Unset: no e-mail is sent."""
    smtp_timeout: timedelta = Field(default=timedelta(seconds=20), gt=timedelta(0))
    """How long the mail server may take for one message."""
    email_from: str = "Taskbell <taskbell@localhost>"
    """Sender of e-mails: an address, or a name followed by an address in angle brackets."""

    email_confirmation_url: str = Field(default="", max_length=1000, pattern=r"^(https?://[!-~]+)?$")
    """Page of your client that confirms an e-mail address: the link of the message leads to it, with `#token=...`, and
    the page sends the token to `POST /v1/me/email/confirm`. Unset: the message has the token as a code to enter."""
    password_reset_url: str = Field(default="", max_length=1000, pattern=r"^(https?://[!-~]+)?$")
    """Page of your client that resets a password: the link of the message leads to it, with `#token=...`, and the page
    sends the token with the new password to `POST /v1/auth/password-reset/confirm`. Unset: the message has the token as
    a code to enter."""
    invitation_url: str = Field(default="", max_length=1000, pattern=r"^(https?://[!-~]+)?$")
    """Page of your client that accepts an invitation: the link of the message leads to it, with `#token=...`, and the
    page has the user sign in or register, and sends the token to `POST /v1/invitations/accept`. Unset: the message has
    the token as a code to enter."""
    task_url_template: str = Field(default="", max_length=1000)
    """Page of your client that shows a task, with `{task_id}` and, if need be, `{workspace_id}`, such as
    `https://tasks.example.com/tasks/{task_id}`: alerts link it. Unset: they have no link."""
    api_public_url: str = Field(default="", max_length=800, pattern=r"^(https?://[!-~]+)?$")
    """Public address of the API. With it each e-mail has a link that ends e-mail for its reader, without signing in;
    with `https://` mail programs offer it as one click (RFC 8058). Unset: only settings in a client end e-mail."""
    emails_per_hour: int = Field(default=30, ge=1, le=1000)
    """Most e-mails to one user within an hour. Further notifications are only in the inbox."""

    @field_validator("delivery_lease")
    @classmethod
    def _check_lease(cls, value: timedelta, others: ValidationInfo) -> timedelta:
        if value <= others.data.get("push_timeout", timedelta(0)):
            raise ValueError("must be longer than TASKBELL_PUSH_TIMEOUT")
        return value

    @field_validator("webhook_timeout", "smtp_timeout")
    @classmethod
    def _check_time(cls, value: timedelta, others: ValidationInfo) -> timedelta:
        if value >= others.data.get("delivery_lease", timedelta.max):
            raise ValueError("must be shorter than TASKBELL_DELIVERY_LEASE")
        return value

    @field_validator("smtp_url")
    @classmethod
    def _check_mail_server(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            try:
                MailServer.parse(value.get_secret_value())
            except MailServerMalformed as malformed:
                raise ValueError(str(malformed)) from None
        return value

    @field_validator("task_url_template")
    @classmethod
    def _check_template(cls, value: str) -> str:
        try:
            return check_task_template(value)
        except LinkMalformed as malformed:
            raise ValueError(str(malformed)) from None

    @field_validator("email_from")
    @classmethod
    def _check_sender(cls, value: str) -> str:
        try:
            mailbox(value)
        except MailboxMalformed as malformed:
            raise ValueError(str(malformed)) from None
        return value
