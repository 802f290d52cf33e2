"""Slow work that an endpoint needs done before its transaction begins, such as hashing a password.

It is a dependency that takes other dependencies in place of the request:

    async def _proven(proofs: Proving, actor: Actor, body: Body) -> Proven: ...

    async def change_email(body: Body, proven: Annotated[Proven, Depends(_proven)]) -> ...

With an `Idempotency-Key` the endpoint works in one transaction with its answer, and holds a connection meanwhile. What
is prepared holds none; a repeat prepares nothing. A refusal of it is an answer like the endpoint's own.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

Read = Callable[..., Awaitable[Any]]
"""A dependency: of the request, unless it is a preparation."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """One of them.

    Attributes:
        call: What is awaited, with its needs by name.
        needs: How each is read of the request.
    """

    call: Read
    needs: Mapping[str, Read]


def split(
    found: Mapping[str, Read], *, dependency: Callable[[Any], Read | None]
) -> tuple[dict[str, Read], dict[str, Preparation]]:
    """Part dependencies into those of the request, with the ones that preparations need, and the preparations.

    Args:
        found: The dependencies of an endpoint by name.
        dependency: Tells the dependency of an annotation.

    Raises:
        TypeError: One takes something else.
    """
    reads, slow = {}, {}
    for name, read in found.items():
        names = [*inspect.signature(read).parameters]
        if names == ["request"]:
            reads[name] = read
            continue
        hints = get_type_hints(read, include_extras=True)
        needs = {need: own for need in names if (own := dependency(hints[need])) is not None}
        if len(needs) < len(names):
            raise TypeError(f"{read.__qualname__}: a dependency takes the request, or other dependencies")
        slow[name] = Preparation(read, needs)
    needed = {name: read for preparation in slow.values() for name, read in preparation.needs.items()}
    return needed | reads, slow  # in this order: who asks is read before the body


async def prepare(preparations: Mapping[str, Preparation], values: Mapping[str, Any]) -> dict[str, Any]:
    """Do the work, one after the other; `values` holds what each needs."""
    return {name: await each.call(**{need: values[need] for need in each.needs}) for name, each in preparations.items()}
