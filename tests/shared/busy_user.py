"""A user who keeps every part of a platform a little busy."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime, timedelta

import httpx

from taskbell.testing.listener import Listener


async def busy(api: str, gateway: str, *, webhook: str) -> None:
    """Sign up, listen, and until cancelled create tasks whose reminder fires at once, each also for a webhook."""
    person = {"email": f"{secrets.token_hex(8)}@example.org", "password": "correct horse battery"}
    async with httpx.AsyncClient(base_url=api, trust_env=False, timeout=30) as client:
        (await client.post("/v1/auth/register", json={**person, "name": "Ada"})).raise_for_status()
        token = (await client.post("/v1/auth/login", json=person)).raise_for_status().json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        (await client.post("/v1/webhooks", json={"url": webhook})).raise_for_status()
        async with Listener(gateway, token=token) as listener:
            while True:
                soon = datetime.now(UTC) + timedelta(minutes=30)
                made = await client.post("/v1/tasks", json={"title": "t", "due_at": soon.isoformat()})
                made.raise_for_status()
                assert listener is not None
                await asyncio.sleep(0.7)  # the chart's limit is 100 requests a minute
