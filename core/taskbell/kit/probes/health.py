"""Health checks, each with its own deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

Check = Callable[[], Awaitable[None]]
"""Returns when the part works; raises when it does not."""


@dataclass(frozen=True, slots=True)
class Health:
    """The outcome of all checks: whether the program can serve, and for each check "ok" or the reason it failed."""

    ok: bool
    checks: Mapping[str, str] = field(default_factory=dict)


async def examine(checks: Mapping[str, Check], *, deadline: float = 2.0) -> Health:
    """Run all checks at once; a check that takes longer than `deadline` seconds has failed."""

    async def outcome(check: Check) -> str:
        try:
            async with asyncio.timeout(deadline):
                await check()
        except TimeoutError:
            return f"no answer within {deadline:g} s"
        except Exception as failed:  # noqa: BLE001 -- each error of a check is its result
            return type(failed).__name__
        return "ok"

    found = await asyncio.gather(*(outcome(check) for check in checks.values()))
    results = dict(zip(checks, found, strict=True))
    return Health(ok=all(text == "ok" for text in found), checks=results)
