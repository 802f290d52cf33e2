"""What can be wrong with a request about bots.

Refused
├── BotNotFound        404
├── BotsNotPermitted   403
└── ScopeNotForBots    422
"""

from __future__ import annotations

from taskbell.contract.problems import FieldError, ProblemCode, Refused


class BotNotFound(Refused):
    """The workspace has no such bot."""

    code = ProblemCode.NOT_FOUND


class BotsNotPermitted(Refused):
    """Only owners and admins look after the bots of a workspace."""

    code = ProblemCode.FORBIDDEN


class ScopeNotForBots(Refused):
    """A bot has no account to look after, no device, and belongs to one workspace."""

    code = ProblemCode.VALIDATION_FAILED

    def __init__(self, scopes: list[str]) -> None:
        message = f"not for bots: {', '.join(sorted(scopes))}"
        super().__init__(f"/scopes: {message}", errors=(FieldError("/scopes", "not_for_bots", message),))
