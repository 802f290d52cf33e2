"""Scopes in the OpenAPI document."""

from __future__ import annotations

from typing import Any

from taskbell.api.scopes import policy

SCHEME = "bearer"
"""The name of the security scheme."""


def tell(operation: dict[str, Any], *, method: str, path: str) -> None:
    """Write into an operation which scope a personal access token needs.

    OpenAPI 3.1 has room for it in the requirement: "role names which are required for the execution".
    """
    scope = policy.needed(method, path)
    for requirement in operation["security"]:
        if SCHEME in requirement:
            requirement[SCHEME] = [] if scope is None else [scope.value]
    if policy.open_to_any_token(method, path):
        told = "Needs a session, or any personal access token."
    elif scope is None:
        told = "Needs a session: no personal access token is accepted."
    else:
        told = f"Scope: `{scope}`."
    operation["description"] = "\n\n".join(filter(None, (operation.get("description"), told)))
