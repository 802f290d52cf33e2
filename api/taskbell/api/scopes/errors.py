"""Why a token may not do what a session may.

Refused
├── ScopeInsufficient  403
└── SessionRequired    403
"""

from __future__ import annotations

from taskbell.contract.problems import ProblemCode, Refused
from taskbell.contract.scopes import Scope


class ScopeInsufficient(Refused):
    """The token lacks the scope of this operation."""

    code = ProblemCode.INSUFFICIENT_SCOPE

    def __init__(self, scope: Scope) -> None:
        challenge = f'Bearer error="insufficient_scope", scope="{scope}"'  # RFC 6750, section 3.1
        super().__init__(f"The token needs the scope {scope}.", headers={"WWW-Authenticate": challenge})


class SessionRequired(Refused):
    """Only a session may do this, never a token: sign in with `POST /v1/auth/login`."""

    code = ProblemCode.SESSION_REQUIRED
