"""Composition of the providers from their settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from taskbell.delivery.providers.apns import Apns
from taskbell.delivery.providers.breaker import Breaker
from taskbell.delivery.providers.chat import Chat, judge_slack, judge_teams, slack_message, teams_message
from taskbell.delivery.providers.credentials import ServiceAccount, VapidKey, read_apns_key
from taskbell.delivery.providers.fcm import Fcm
from taskbell.delivery.providers.http2 import Client, Limits, Reach, open_client, public_only, reach
from taskbell.delivery.providers.settings import ProviderSettings
from taskbell.delivery.providers.tokens import AppleToken, GoogleToken, TokenStore
from taskbell.delivery.providers.verdicts import ProviderTransport
from taskbell.delivery.providers.webpush import Vapid, WebPush
from taskbell.kit.addresses import resolver

_STREAMS: Final = 100
"""Requests that a connection takes at a time with most servers (RFC 9113, section 6.5.2, recommends no fewer)."""
_OWN_IDLE: Final = 300.0
"""Apple wants connections kept; routers forget one that is silent for longer."""
_USERS_IDLE: Final = 30.0
_USERS_CONNECTIONS: Final = 2
_RESOLVERS: Final = 64
"""Threads that look names up: only for new connections, but a name server that hangs must not stop the others."""


@asynccontextmanager
async def open_providers(
    settings: ProviderSettings, *, tokens: TokenStore
) -> AsyncIterator[dict[str, ProviderTransport]]:
    """Open a transport for each provider that is set up, by channel, for the length of the block.

    `tokens` is where workers share the token for Apple.
    """
    async with AsyncExitStack() as stack:
        resolve = stack.enter_context(resolver(threads=_RESOLVERS))
        within = settings.push_timeout.total_seconds()
        own = reach(resolve, ca_file=settings.push_ca_file, allowed=lambda _: True, fallback=False)
        users = reach(
            resolve,
            ca_file=settings.push_ca_file,
            allowed=public_only(allow_private=settings.push_allow_private),
            fallback=True,
        )

        async def client(to: Reach) -> Client:
            limits = (
                Limits(within=within, connections=1 + settings.push_concurrency // _STREAMS, idle=_OWN_IDLE)
                if to is own
                else Limits(within=within, connections=_USERS_CONNECTIONS, idle=_USERS_IDLE)
            )
            return await stack.enter_async_context(open_client(to, limits))

        found: dict[str, ProviderTransport] = {}
        if settings.fcm_credentials is not None:
            account = ServiceAccount.parse(settings.fcm_credentials.get_secret_value())
            fcm_client = await client(own)
            token = GoogleToken(fcm_client, account)
            stack.push_async_callback(token.close)
            fcm = Fcm(fcm_client, url=settings.fcm_url, project_id=account.project_id, token=token)
            found["fcm"] = ProviderTransport("fcm", fcm, within=within, breaker=Breaker())
        if settings.apns_key is not None:
            apns = Apns(
                await client(own),
                url=settings.apns_url,
                sandbox_url=settings.apns_sandbox_url,
                topic=settings.apns_topic or "",
                token=AppleToken(
                    read_apns_key(settings.apns_key.get_secret_value()),
                    key_id=settings.apns_key_id or "",
                    team_id=settings.apns_team_id or "",
                    store=tokens,
                ),
            )
            found["apns"] = ProviderTransport("apns", apns, within=within, breaker=Breaker())
        any_port = settings.push_allow_private
        if settings.vapid_private_key is not None:
            vapid = Vapid(
                VapidKey.parse(settings.vapid_private_key.get_secret_value()), subject=settings.vapid_subject or ""
            )
            web_push = WebPush(await client(users), vapid=vapid, any_port=any_port)
            found["webpush"] = ProviderTransport("webpush", web_push, within=within)
        slack = Chat(await client(users), message=slack_message, judge=judge_slack, any_port=any_port)
        teams = Chat(await client(users), message=teams_message, judge=judge_teams, any_port=any_port)
        found["slack"] = ProviderTransport("slack", slack, within=within)
        found["teams"] = ProviderTransport("teams", teams, within=within)
        yield found
