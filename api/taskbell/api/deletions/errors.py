"""What keeps an account."""

from __future__ import annotations

from collections.abc import Sequence

from taskbell.contract.problems import ProblemCode, Refused

_NAMED = 10


class LastOwnerStayed(Refused):
    """You are the only owner of a workspace that others belong to: make somebody else an owner first."""

    code = ProblemCode.LAST_OWNER

    def __init__(self, workspaces: Sequence[str]) -> None:
        """Take what names each workspace."""
        named = ", ".join(workspaces[:_NAMED])
        more = f" and {len(workspaces) - _NAMED} more" if len(workspaces) > _NAMED else ""
        super().__init__(
            f"You are the only owner of {named}{more}, which others belong to: make somebody else an owner first."
        )
