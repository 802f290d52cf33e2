"""Attacks by workspaces and invitations."""

from __future__ import annotations

import asyncio
import itertools

from attack.hostile.villain import Villain


async def invitations(villain: Villain) -> None:
    """Makes workspaces and invites the honest users into each."""
    await villain.join()
    for number, victim in enumerate(itertools.cycle(villain.target.victims)):
        made = await villain.ask("POST", "/v1/workspaces", json={"name": f"Join me {number}"})
        if made is not None and made.is_success:
            body = {"email": victim, "role": "admin"}
            await villain.ask("POST", f"/v1/workspaces/{made.json()['id']}/members", json=body)
        await asyncio.sleep(0.05)
