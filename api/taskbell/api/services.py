"""What endpoints depend on, in one typed place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from joserfc.jwk import KeySet

from taskbell.api.accounts.confirmations import Confirmations
from taskbell.api.accounts.proofs import Proofs
from taskbell.api.accounts.service import Accounts
from taskbell.api.bots.service import Bots
from taskbell.api.chats.service import Chats
from taskbell.api.comments.service import Comments
from taskbell.api.data_exports.service import DataExports
from taskbell.api.deletions.service import Deletions
from taskbell.api.deliveries.service import Deliveries
from taskbell.api.devices.service import PushDevices
from taskbell.api.events.service import ChangeFeed
from taskbell.api.http.client_address import ClientAddresses
from taskbell.api.http.repeats import Repeats
from taskbell.api.invitations.service import Invitations
from taskbell.api.notifications.service import Notifications
from taskbell.api.oidc.bearer import ProviderTokens
from taskbell.api.oidc.service import ProviderSignIns
from taskbell.api.password_resets.service import PasswordResets
from taskbell.api.personal_tokens.service import PersonalTokens
from taskbell.api.personal_tokens.verifier import PersonalTokenVerifier
from taskbell.api.preferences.service import AlertPreferences
from taskbell.api.quotas.service import Quotas
from taskbell.api.rates.limiter import Limiter
from taskbell.api.reminders.service import Reminders
from taskbell.api.reports.service import Reports
from taskbell.api.second_factors.service import SecondFactors
from taskbell.api.settings import ApiSettings
from taskbell.api.subscriptions.service import Subscriptions
from taskbell.api.tasks.service import TaskService
from taskbell.api.unsubscribe.service import Unsubscriptions
from taskbell.api.workspaces.service import Workspaces
from taskbell.contract.tokens import Claims
from taskbell.kit.jwt import VerifiedTokens
from taskbell.kit.probes.health import Check
from taskbell.kit.revocations import Revocations
from taskbell.store.pool import Database
from taskbell.store.positions import PrimaryPositions
from taskbell.store.reads import Reads
from taskbell.store.replicas import Replica


@dataclass(frozen=True, slots=True)
class Services:
    """What the lifespan composes for this process."""

    settings: ApiSettings
    database: Database
    reads: Reads
    positions: PrimaryPositions
    replicas: Sequence[Replica]
    access_tokens: VerifiedTokens[Claims]
    personal_token_verifier: PersonalTokenVerifier
    personal_tokens: PersonalTokens
    revocations: Revocations
    signing_keys: KeySet
    client_addresses: ClientAddresses
    accounts: Accounts
    proofs: Proofs
    confirmations: Confirmations
    password_resets: PasswordResets
    provider_sign_ins: ProviderSignIns
    provider_tokens: ProviderTokens
    second_factors: SecondFactors
    deletions: Deletions
    data_exports: DataExports
    workspaces: Workspaces
    bots: Bots
    invitations: Invitations
    tasks: TaskService
    comments: Comments
    subscriptions: Subscriptions
    reminders: Reminders
    notifications: Notifications
    events: ChangeFeed
    deliveries: Deliveries
    devices: PushDevices
    chats: Chats
    preferences: AlertPreferences
    reports: Reports
    unsubscriptions: Unsubscriptions
    limiter: Limiter
    repeats: Repeats
    quotas: Quotas
    checks: dict[str, Check]
    """What `/readyz` asks."""
