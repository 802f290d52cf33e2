"""Attacks by receivers of webhooks, and by e-mail."""

from __future__ import annotations

import asyncio
import secrets

from attack.hostile.villain import Villain
from attack.receivers import Answer, answer_at_once, answer_late, hint_forever, receiving

_WEBHOOKS = 20


async def slow_receivers(villain: Villain) -> None:
    """Has twenty webhooks that answer after 14 s."""
    await _deliver(villain, answer_late, description="")


async def early_hints(villain: Villain) -> None:
    """Has webhooks whose receivers send interim responses without end."""
    await _deliver(villain, hint_forever, description="")


async def copies(villain: Villain) -> None:
    """Has twenty webhooks for changes of 80 kB."""
    await _deliver(villain, answer_at_once(lambda _: None), description=chr(0x1F600) * 20_000)


async def strangers(villain: Villain) -> None:
    """Has e-mail sent to a stranger's address, with titles of its choice, and guesses the confirmation."""
    await villain.join()
    while True:
        await villain.ask("PUT", "/v1/me/channels/email", json={"enabled": True, "kinds": ["assigned"]})
        await villain.ask("POST", "/v1/me/email/confirmation")
        await villain.ask("POST", "/v1/me/email/confirm", json={"token": secrets.token_urlsafe(32)})
        await villain.ask("POST", "/v1/tasks", json={"title": "Buy from me"})
        await asyncio.sleep(0.5)


async def _deliver(villain: Villain, answer: Answer, *, description: str) -> None:
    await villain.join()
    async with receiving(answer) as url:
        for _ in range(_WEBHOOKS):
            body = {"workspace_id": villain.workspace, "url": url}
            await villain.ask("POST", "/v1/webhooks", json=body)
        while True:
            await villain.ask("POST", "/v1/tasks", json={"title": "Delivered", "description": description})
            await asyncio.sleep(0.1)
