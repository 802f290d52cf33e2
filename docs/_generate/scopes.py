"""`docs/reference/scopes.md`, from the table of scopes."""

from __future__ import annotations

from taskbell.api.scopes.policy import ANY_TOKEN, SCOPES, SESSION_ONLY
from taskbell.contract.scopes import MEANINGS

HEAD = """\
# Scopes

<!-- Generated from taskbell.api.scopes.policy by `make docs`. -->

A [personal access token](../how-to/use-a-personal-access-token.md) may do what its scopes name; a session may do
everything. `<things>:write` includes `<things>:read`. A scope never gives more than the role of the user in a
workspace.

Without the scope the answer is 403 `insufficient_scope`, with the scope in `WWW-Authenticate` (RFC 6750).

| Scope | Permits |
| --- | --- |
"""
_SESSION_HEAD = """
## Sessions only

These get a 403 `session_required` with any token: whoever steals one cannot use it to stay.

"""


_ANY_HEAD = """
## Any token

`POST /v1/auth/logout` with a personal access token ends the token itself.

"""


def text() -> str:
    """The page."""
    rows = "".join(f"| `{scope}` | {meaning} |\n" for scope, meaning in MEANINGS.items())
    parts = [HEAD, rows]
    for scope in MEANINGS:
        operations = [operation for operation, needed in SCOPES.items() if needed is scope]
        parts += [f"\n## {scope}\n\n", *(f"- `{operation}`\n" for operation in operations)]
    parts += [_ANY_HEAD, *(f"- `{operation}`\n" for operation in sorted(ANY_TOKEN))]
    return "".join([*parts, _SESSION_HEAD, *(f"- `{operation}`\n" for operation in sorted(SESSION_ONLY))])
