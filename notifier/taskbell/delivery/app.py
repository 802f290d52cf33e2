"""Composition: builds a delivery worker from its settings, runs it, and takes it down."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from taskbell.contract import subjects
from taskbell.delivery.alerts import CHANNELS
from taskbell.delivery.emails import EmailTransport
from taskbell.delivery.intake import Intake
from taskbell.delivery.links import Links
from taskbell.delivery.mail_server import MailServer
from taskbell.delivery.not_set_up import NotSetUp
from taskbell.delivery.policy import Backoff
from taskbell.delivery.provider_tokens import SharedTokens
from taskbell.delivery.providers.opening import open_providers
from taskbell.delivery.repository import Ledger, open_ledger
from taskbell.delivery.sender import Bounds, Sender, Transport
from taskbell.delivery.settings import DeliverySettings
from taskbell.delivery.shares import Places
from taskbell.delivery.webhooks import open_webhooks
from taskbell.kit.looper import running
from taskbell.kit.nats_bus import Pokes, connect
from taskbell.kit.nats_dead_letters import DeadLetters, DeadLetterSpec
from taskbell.kit.nats_pull import PullSpec, PullWorker
from taskbell.kit.probes.server import serving_probes
from taskbell.kit.trace import Tracing

DEAD_LETTERS = DeadLetterSpec(
    stream=subjects.DEAD_LETTER_STREAM,
    letters=subjects.DEAD_LETTER_SUBJECT,
    redrive=subjects.REDRIVE_SUBJECT,
    source=(subjects.STREAM, subjects.DELIVERY_CONSUMER),
    max_age=subjects.DEAD_LETTER_AGE.total_seconds(),
)
_STOP_SECONDS = 3.0


@asynccontextmanager
async def delivery(
    settings: DeliverySettings, *, listening: socket.socket | None = None, tracing: Tracing | None = None
) -> AsyncIterator[Sender]:
    """Run a worker for the length of the block; at its end it finishes its deliveries or gives them back.

    `listening` is the socket of the probes; None serves none.

    Raises:
        BusUnavailable: NATS cannot be reached at the start.
    """
    tracing = tracing or Tracing(service="taskbell-delivery")
    async with AsyncExitStack() as stack:
        ledger = await stack.enter_async_context(
            open_ledger(
                settings.way_to(settings.database_url),
                pool_size=settings.delivery_database_pool_size,
                emails_per_hour=settings.emails_per_hour,
                channels={"webhook", "email", *settings.push_channels()},
            )
        )
        transports = await stack.enter_async_context(_transports(settings, ledger))
        sender = Sender(
            ledger,
            transports,
            bounds=Bounds(
                places=Places(
                    all=settings.delivery_concurrency,
                    per_receiver=min(settings.delivery_concurrency_per_endpoint, settings.delivery_concurrency),
                    per_workspace=min(settings.delivery_concurrency_per_workspace, settings.delivery_concurrency),
                ),
                push=settings.push_concurrency,
                lease=settings.delivery_lease,
                poll=settings.delivery_poll,
            ),
            backoff=Backoff(
                first=settings.delivery_retry_first.total_seconds(),
                longest=settings.delivery_retry_longest.total_seconds(),
            ),
            tracing=tracing,
        )
        bus = await connect(settings.nats_url.get_secret_value(), name="taskbell-delivery")
        stack.push_async_callback(bus.close)
        letters = DeadLetters(bus, DEAD_LETTERS)

        def worker(stream: str, durable: str, subject: str, *, made_here: bool) -> PullWorker:
            intake = Intake(
                ledger,
                letters,
                source=durable,
                retry_for=settings.delivery_retry_for,
                lease=settings.delivery_lease,
                max_deliver=settings.delivery_max_deliver,
                room=sender.room,
                recorded=sender.wake,
                tracing=tracing,
            )
            spec = PullSpec(
                stream=stream,
                durable=durable,
                filter_subject=subject,
                ack_wait=subjects.ACK_WAIT.total_seconds(),
                max_deliver=settings.delivery_max_deliver,
                made_here=made_here,
            )
            return PullWorker(bus, spec, intake.handle, batch=settings.delivery_batch_size)

        main = worker(subjects.STREAM, subjects.DELIVERY_CONSUMER, f"{subjects.EVENTS_ROOT}.>", made_here=True)
        # The relay makes this one: who may make a consumer of a stream can have it copied into the event stream.
        redrive = worker(
            subjects.DEAD_LETTER_STREAM, subjects.REDRIVE_CONSUMER, subjects.REDRIVE_SUBJECT, made_here=False
        )
        if listening is not None:
            checks = {"database": ledger.check, "nats": Pokes(bus).check}
            await stack.enter_async_context(serving_probes(checks, listening=listening))
        await stack.enter_async_context(running(sender.recorder.run, name="delivery-recorder"))
        await stack.enter_async_context(running(sender.measure, name="delivery-measure"))
        await stack.enter_async_context(running(sender.run, name="delivery-sender"))
        tasks = [
            await stack.enter_async_context(running(main.run, name="delivery-intake")),
            await stack.enter_async_context(running(redrive.run, name="delivery-redrive")),
        ]
        try:
            yield sender
        finally:
            main.stop()
            redrive.stop()
            await asyncio.wait(tasks, timeout=_STOP_SECONDS)
            await sender.stop(within=settings.delivery_drain_timeout.total_seconds())


@asynccontextmanager
async def _transports(settings: DeliverySettings, ledger: Ledger) -> AsyncIterator[dict[str, Transport]]:
    """Open the transports by channel: webhooks, e-mail, and the providers that are set up."""
    with open_webhooks(
        within=settings.webhook_timeout.total_seconds(),
        allow_private=settings.webhook_allow_private,
        concurrency=settings.delivery_concurrency,
    ) as webhooks:
        found: dict[str, Transport] = {channel: NotSetUp(channel) for channel in CHANNELS} | {"webhook": webhooks}
        if settings.smtp_url is not None:
            found["email"] = EmailTransport(
                MailServer.parse(settings.smtp_url.get_secret_value()),
                sender=settings.email_from,
                timeout=settings.smtp_timeout.total_seconds(),
                links=Links(
                    task_template=settings.task_url_template,
                    confirm_at=settings.email_confirmation_url,
                    reset_at=settings.password_reset_url,
                    join_at=settings.invitation_url,
                    api=settings.api_public_url.rstrip("/"),
                ),
            )
        async with open_providers(settings, tokens=SharedTokens(ledger.pool)) as providers:
            yield found | dict(providers)
