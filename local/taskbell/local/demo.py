"""The account that a new platform comes with, to try it without a sign-up."""

from __future__ import annotations

import httpx


class DemoAccountRefused(Exception):
    """The API did not make the demo account. The message is one line."""


async def ensure_account(api_url: str, *, email: str, password: str) -> bool:
    """Make the account unless it exists; return whether it was made.

    Raises:
        DemoAccountRefused: The API answered something unexpected, or nothing.
    """
    try:
        async with httpx.AsyncClient(base_url=api_url, timeout=20.0, trust_env=False) as client:
            known = await client.post("/v1/auth/login", json={"email": email, "password": password})
            if known.is_success:
                return False
            made = await client.post("/v1/auth/register", json={"email": email, "password": password, "name": "Demo"})
    except httpx.HTTPError as failed:
        raise DemoAccountRefused(f"the demo account could not be made: {failed!r}") from failed
    if made.status_code == 409:  # it exists and has another password by now
        return False
    if not made.is_success:
        raise DemoAccountRefused(f"the demo account could not be made: the API answered {made.status_code}")
    return True
