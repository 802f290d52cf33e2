"""Whether a live object already is as declared, so that nothing is written for nothing."""

from __future__ import annotations

from typing import Any


def differs(declared: Any, live: Any) -> bool:
    """Whether a declared value is not contained in the live one.

    Fields that were not declared may hold anything: the API server fills in defaults, others may own them. Lists must
    have the same length and agree element by element.
    """
    if isinstance(declared, dict):
        if not isinstance(live, dict):
            return bool(declared) or live is not None
        return any(differs(value, live.get(name)) for name, value in declared.items())
    if isinstance(declared, list):
        if not isinstance(live, list):
            return bool(declared) or live is not None
        return len(declared) != len(live) or any(map(differs, declared, live))
    return bool(declared != live)
