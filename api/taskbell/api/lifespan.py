"""Composition: builds the services of a process when it starts and closes them when it stops."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial

from fastapi import FastAPI

from taskbell.api.accounts.confirmations import Confirmations
from taskbell.api.accounts.devices import Devices
from taskbell.api.accounts.passwords import Passwords
from taskbell.api.accounts.proofs import Proofs
from taskbell.api.accounts.repository import list_revoked
from taskbell.api.accounts.service import Accounts, Allowed
from taskbell.api.accounts.sessions import Sessions
from taskbell.api.accounts.throttle import Throttle
from taskbell.api.accounts.tokens import access_token_verifier
from taskbell.api.bots.service import Bots
from taskbell.api.chats.service import Chats
from taskbell.api.comments.service import Comments
from taskbell.api.data_exports.service import DataExports
from taskbell.api.deletions.service import Deletions
from taskbell.api.deliveries.service import Deliveries
from taskbell.api.devices.service import PushDevices
from taskbell.api.events.following import Following
from taskbell.api.events.recent import RecentEvents
from taskbell.api.events.recorder import EventRecorder
from taskbell.api.events.service import ChangeFeed
from taskbell.api.health.checks import schema_check
from taskbell.api.http.client_address import ClientAddresses
from taskbell.api.http.repeats import Repeats
from taskbell.api.invitations.policy import Bounds
from taskbell.api.invitations.service import Invitations
from taskbell.api.notifications.service import Notifications
from taskbell.api.oidc.composing import open_providers
from taskbell.api.password_resets.service import PasswordResets
from taskbell.api.personal_tokens.policy import Lifetime
from taskbell.api.personal_tokens.service import PersonalTokens
from taskbell.api.personal_tokens.verifier import PersonalTokenVerifier
from taskbell.api.preferences.service import AlertPreferences
from taskbell.api.quotas.service import Quotas
from taskbell.api.rates.limiter import Limiter
from taskbell.api.rates.slots import Slots
from taskbell.api.reminders.service import Reminders
from taskbell.api.reports.service import Reports
from taskbell.api.second_factors.challenges import Challenges
from taskbell.api.second_factors.service import SecondFactors
from taskbell.api.services import Services
from taskbell.api.settings import ApiSettings
from taskbell.api.subscriptions.service import Subscriptions
from taskbell.api.tasks.service import TaskService
from taskbell.api.unsubscribe.service import Unsubscriptions
from taskbell.api.workspaces.service import Workspaces
from taskbell.contract.subjects import METADATA_EPOCH, RATE_AGE, RATE_ROOT, RATE_STREAM, STREAM
from taskbell.contract.tokens import LONGEST_ACCESS
from taskbell.kit.jwt import VerifiedTokens, parse_keys
from taskbell.kit.looper import running
from taskbell.kit.nats_bus import Pokes, connecting
from taskbell.kit.nats_counters import Counters, CounterSpec
from taskbell.kit.nats_reader import StreamReader
from taskbell.kit.nats_replay import StreamReplays
from taskbell.kit.postgres.pool import open_lender
from taskbell.kit.postgres.urls import server_name
from taskbell.kit.revocations import Revocations
from taskbell.kit.sealing import Seal
from taskbell.store.pool import Database, DatabaseUnavailable, RequestTooSlow
from taskbell.store.positions import PrimaryPositions
from taskbell.store.reads import Reads
from taskbell.store.replicas import Replica

_FEED_MEMORY = 16 * 2**20
"""Bytes of the newest events that the change feed keeps: some ten thousand."""
_FEED_WARM_UP = 1_000
"""How many of them are read when polls begin."""
_STATEMENT_SECONDS = 12
"""How long one statement may take; PostgreSQL ends it before, after the `statement_timeout` of the API's role (10 s).

A statement of a list has less: `LIST_SECONDS`.
"""


@asynccontextmanager
async def services_for(settings: ApiSettings) -> AsyncIterator[Services]:
    """Open the connections and build the services on them."""
    async with AsyncExitStack() as stack:
        lender = await open_lender(
            settings.way_to(settings.database_url),
            most=settings.database_pool_size,
            least=2,
            statement_seconds=_STATEMENT_SECONDS,
        )
        stack.push_async_callback(lender.close)
        database = Database(lender, acquire_timeout=settings.database_acquire_timeout.total_seconds())
        replicas = [await stack.enter_async_context(_following(replica)) for replica in replicas_of(settings)]
        positions = PrimaryPositions(settings.way_to(settings.database_url), replicas=replicas)
        await stack.enter_async_context(running(positions.run, name="primary-positions"))
        reads = Reads(database, replicas, most_lag=settings.database_replica_max_lag.total_seconds())
        client = await stack.enter_async_context(connecting(settings.nats_url.get_secret_value(), name="taskbell-api"))
        pokes = Pokes(client)
        stack.push_async_callback(pokes.settle)
        recorder = EventRecorder(pokes)
        recent = RecentEvents(max_bytes=_FEED_MEMORY)
        reader = partial(StreamReader, client, recent, stream=STREAM, epoch_key=METADATA_EPOCH, warm_up=_FEED_WARM_UP)
        following = Following(recent, reader)
        await stack.enter_async_context(running(following.run, name="feed-reader"))
        quotas = Quotas(database)
        await stack.enter_async_context(running(quotas.run, name="quota-reader"))
        personal_token_verifier = PersonalTokenVerifier(database)
        stack.push_async_callback(personal_token_verifier.note_use)
        await stack.enter_async_context(running(personal_token_verifier.run, name="personal-token-use"))
        revocations = Revocations(
            partial(list_revoked, database), keep=LONGEST_ACCESS, away=(DatabaseUnavailable, RequestTooSlow)
        )
        await revocations.begin()
        await stack.enter_async_context(running(revocations.run, name="session-reader"))
        personal_tokens = PersonalTokens(
            database,
            most=settings.personal_tokens_per_user,
            lifetime=Lifetime(usual=settings.personal_token_ttl, most=settings.personal_token_max_ttl),
        )
        keys = parse_keys(settings.signing_keys.get_secret_value())
        passwords = Passwords(
            memory_kib=settings.password_hash_memory_kib,
            iterations=settings.password_hash_iterations,
            workers=settings.password_hash_workers,
            waiting=settings.password_hash_waiting,
        )
        stack.callback(passwords.close)
        workspaces = Workspaces(database, recorder=recorder, most=settings.workspaces_per_user)
        throttle = Throttle(database)
        devices = Devices(keys=keys, ttl=settings.device_token_ttl)
        sessions = Sessions(
            database,
            keys=keys,
            devices=devices,
            access_ttl=settings.access_token_ttl,
            refresh_ttl=settings.refresh_token_ttl,
        )
        provider_sign_ins, provider_tokens = stack.enter_context(
            open_providers(settings, database, sessions=sessions, keys=keys, throttle=throttle)
        )
        challenges, factor_keys = Challenges(keys), settings.second_factor_keys
        second_factors = SecondFactors(
            database,
            passwords=passwords,
            sessions=sessions,
            challenges=challenges,
            throttle=throttle,
            seal=None if factor_keys is None else Seal.parse(factor_keys.get_secret_value()),
        )
        shared = None
        if settings.rate_limit_storage_url is not None:
            store = settings.rate_limit_storage_url.get_secret_value()
            other = None if store == "nats://" else connecting(store, name="taskbell-api-rates")
            at = client if other is None else await stack.enter_async_context(other)
            shared = Counters(at, CounterSpec(stream=RATE_STREAM, root=RATE_ROOT, max_age=RATE_AGE))
        yield Services(
            settings=settings,
            database=database,
            reads=reads,
            positions=positions,
            replicas=replicas,
            access_tokens=VerifiedTokens(access_token_verifier(keys), clock=time.time),
            personal_token_verifier=personal_token_verifier,
            personal_tokens=personal_tokens,
            bots=Bots(
                database,
                tokens=personal_tokens,
                workspaces=workspaces,
                recorder=recorder,
                most_members=settings.members_per_workspace,
            ),
            revocations=revocations,
            signing_keys=keys,
            client_addresses=ClientAddresses(settings.trusted_proxies),
            proofs=Proofs(
                database, passwords=passwords, throttle=throttle, failures_allowed=settings.login_failures_allowed
            ),
            confirmations=Confirmations(database, throttle=throttle, ttl=settings.email_confirmation_ttl),
            password_resets=PasswordResets(
                database,
                passwords=passwords,
                throttle=throttle,
                ttl=settings.password_reset_ttl,
                failures_allowed=settings.login_failures_allowed,
            ),
            provider_sign_ins=provider_sign_ins,
            provider_tokens=provider_tokens,
            second_factors=second_factors,
            data_exports=DataExports(database, throttle=throttle),
            deletions=Deletions(database, second_factors=second_factors, recorder=recorder),
            accounts=Accounts(
                database,
                passwords=passwords,
                sessions=sessions,
                devices=devices,
                challenges=challenges,
                throttle=throttle,
                allowed=Allowed(failures=settings.login_failures_allowed, registrations=settings.registrations_allowed),
            ),
            workspaces=workspaces,
            invitations=Invitations(
                database,
                workspaces=workspaces,
                recorder=recorder,
                bounds=Bounds(
                    members=settings.members_per_workspace,
                    of_workspace=settings.invitations_per_workspace,
                    by_user=settings.invitations_per_user,
                    to_recipient=settings.invitations_per_recipient,
                ),
                lifetime=settings.invitation_ttl,
                needs_confirmed_email=settings.invitations_need_confirmed_email,
            ),
            tasks=TaskService(
                database, reads, recorder=recorder, quotas=quotas, reminder_leads=settings.reminder_leads
            ),
            comments=Comments(database, reads, recorder=recorder, quotas=quotas),
            subscriptions=Subscriptions(database, reads),
            reminders=Reminders(database, recorder=recorder, quotas=quotas),
            quotas=quotas,
            notifications=Notifications(database, reads, recorder=recorder),
            events=ChangeFeed(
                StreamReplays(client, stream=STREAM, epoch_key=METADATA_EPOCH), recent, polled=following.polled
            ),
            deliveries=Deliveries(
                database,
                quotas=quotas,
                allow_http=settings.webhook_allow_http,
                secret_overlap=settings.webhook_secret_overlap,
            ),
            devices=PushDevices(
                database,
                most=settings.devices_per_user,
                allow_private=settings.push_allow_private,
                webpush_key=settings.vapid_public_key,
            ),
            chats=Chats(database, hosts=settings.chat_hosts, any_port=settings.push_allow_private),
            preferences=AlertPreferences(database),
            reports=Reports(reads),
            unsubscriptions=Unsubscriptions(database, throttle=throttle),
            limiter=Limiter(
                quota=settings.rate_limit_per_minute,
                slots=Slots(most=settings.requests_at_once_per_user),
                shared=shared,
            ),
            repeats=Repeats(database, patience=settings.idempotency_wait.total_seconds()),
            checks={"database": schema_check(database), "nats": pokes.check},
        )


@asynccontextmanager
async def _following(replica: Replica) -> AsyncIterator[Replica]:
    async with running(replica.run, name=f"replica {replica.name}"):
        yield replica


def replicas_of(settings: ApiSettings) -> list[Replica]:
    """The replicas that the settings name, in their order."""
    urls = [url.get_secret_value() for url in settings.database_replica_urls]
    return [
        Replica(
            url,
            name=server_name(url),
            pool_size=settings.database_replica_pool_size,
            statement_seconds=_STATEMENT_SECONDS,
        )
        for url in urls
    ]


def lifespan_for(settings: ApiSettings) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """The lifespan of an application with these settings."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with services_for(settings) as services:
            app.state.services = services
            yield

    return lifespan
