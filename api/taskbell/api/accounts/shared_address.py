"""Notices that all clients seem to have one address, because a proxy is not in `TASKBELL_TRUSTED_PROXIES`."""

from __future__ import annotations

from ipaddress import ip_address
from uuid import UUID

import structlog

from taskbell.api import metrics
from taskbell.api.http.client_address import ClientAddress

_log = structlog.get_logger(__name__)
_ACCOUNTS = 10


class SharedAddressWatch:
    """Warns once, when ten accounts signed in through what looks like a proxy that nobody listed.

    It looks so if all sign-ins come from one address, or if a peer sends `X-Forwarded-For` and is not trusted. Only
    successful sign-ins count, so that a guesser cannot cause the warning. This machine's own address does not count:
    trials and tests come from there.
    """

    def __init__(self) -> None:
        self._first: str | None = None
        self._several = False
        self._accounts: set[UUID] = set()

    def note(self, address: ClientAddress, *, user_id: UUID) -> None:
        """Note a successful sign-in."""
        self._first = self._first or address.host
        self._several = self._several or address.host != self._first
        suspicious = address.header_ignored or not self._several
        if len(self._accounts) >= _ACCOUNTS or not suspicious or _is_loopback(address.host):
            return
        self._accounts.add(user_id)
        if len(self._accounts) == _ACCOUNTS:
            metrics.CLIENTS_SHARE_ADDRESS.set(1)
            _log.warning(
                "clients_share_an_address",
                address=address.host,
                accounts=_ACCOUNTS,
                hint="if this is the address of a proxy, add it to TASKBELL_TRUSTED_PROXIES",
            )


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
