"""Health checks that check what they say, each with its own deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

Check = Callable[[], Awaitable[None]]
"""Returns when the part is well, raises when it is not."""


@dataclass(frozen=True, slots=True)
class Health:
    """The outcome of all checks: `ok`, and by check either "ok" or the reason it failed."""

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
        except Exception as failed:  # noqa: BLE001 -- whatever a part raises is its answer
            return type(failed).__name__
        return "ok"

    found = await asyncio.gather(*(outcome(check) for check in checks.values()))
    results = dict(zip(checks, found, strict=True))
    return Health(ok=all(text == "ok" for text in found), checks=results)
