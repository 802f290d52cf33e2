"""The hostile users. Each kind is a function that attacks until it is cancelled; its docstring is its description."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from attack.hostile import accounts, events, members, requests, webhooks
from attack.hostile.villain import Villain

Kind = Callable[[Villain], Awaitable[None]]

KINDS: Final[Mapping[str, Kind]] = {
    kind.__name__: kind
    for kind in (
        accounts.guesses,
        accounts.registrations,
        requests.bodies,
        requests.heads,
        requests.costly_requests,
        requests.fat_lists,
        events.fat_changes,
        events.frame_floods,
        events.idle_sockets,
        webhooks.slow_receivers,
        webhooks.early_hints,
        webhooks.copies,
        webhooks.strangers,
        members.invitations,
    )
}
"""Every kind by its name."""
