"""The process of all hostile users; at SIGTERM it writes what they were answered, and ends.

Run by `attack.run`: `python -m attack.hostile <target.json> <outcomes.json> <kind> ...`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import uvloop

from attack.hostile import KINDS
from attack.hostile.villain import Target, Villain

_PRIORITY = 10
"""Below the platform's: attackers use processors of their own."""


async def main(target: Target, kinds: list[str]) -> dict[str, Any]:
    """Attack until SIGTERM; return the outcomes by kind, and the kinds that ended by a mistake of their own."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    counts = {name: Counter[str]() for name in kinds}
    attacks = {name: asyncio.ensure_future(KINDS[name](Villain(target, counts[name]))) for name in kinds}
    print("attacking", flush=True)  # `attack.run` waits for it
    await stopped.wait()
    for attack in attacks.values():
        attack.cancel()
    ends = await asyncio.gather(*attacks.values(), return_exceptions=True)
    broken = {
        name: repr(end)
        for name, end in zip(attacks, ends, strict=True)
        if end is not None and not isinstance(end, asyncio.CancelledError)
    }
    return {"outcomes": counts, "broken": broken}


if __name__ == "__main__":
    os.nice(_PRIORITY)
    values = orjson.loads(Path(sys.argv[1]).read_bytes())
    found = uvloop.run(main(Target(**{**values, "victims": tuple(values["victims"])}), sys.argv[3:]))
    Path(sys.argv[2]).write_bytes(orjson.dumps(found))
