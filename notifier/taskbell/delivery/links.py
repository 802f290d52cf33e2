"""The addresses that alerts lead to, as the settings name them. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from uuid import UUID

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_KNOWN = frozenset({"task_id", "workspace_id"})
_ADDRESS = re.compile(r"https?://[!-~]+")


class LinkMalformed(ValueError):
    """The text is not a template of the addresses of tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Where an alert leads.

    Attributes:
        task_template: Address of a task in a client, with `{task_id}` and, if need be, `{workspace_id}`; empty: none.
        confirm_at: Page of a client that confirms an e-mail address; empty: none.
        reset_at: Page of a client that resets a password; empty: none.
        join_at: Page of a client that accepts an invitation; empty: none.
        api: Public address of the API, without a slash at its end; empty: unknown.
    """

    task_template: str = ""
    confirm_at: str = ""
    reset_at: str = ""
    join_at: str = ""
    api: str = ""

    def task(self, *, workspace_id: UUID | None, task_id: UUID | None) -> str | None:
        """Return the address of a task, or None if no client is named."""
        if not self.task_template or task_id is None:
            return None
        return self.task_template.replace("{task_id}", str(task_id)).replace("{workspace_id}", str(workspace_id or ""))

    def confirmation(self, token: str) -> str | None:
        """Return the address that confirms an e-mail address. The token is in the fragment, which reaches no server."""
        return f"{self.confirm_at}#token={token}" if self.confirm_at else None

    def password_reset(self, token: str) -> str | None:
        """Return the address that resets a password, in the same way."""
        return f"{self.reset_at}#token={token}" if self.reset_at else None

    def invitation(self, token: str) -> str | None:
        """Return the address that accepts an invitation, in the same way."""
        return f"{self.join_at}#token={token}" if self.join_at else None

    def unsubscribe(self, token: UUID | None) -> str | None:
        """Return the address that switches e-mail off, or None if the API's address is not known."""
        return f"{self.api}/v1/unsubscribe?token={token}" if self.api and token is not None else None


def check_task_template(text: str) -> str:
    """Return a template of the addresses of tasks, or an empty text.

    Raises:
        LinkMalformed: It is no address, or does not name a task.
    """
    if not text:
        return text
    names = {found[1] for found in _PLACEHOLDER.finditer(text)}
    if _ADDRESS.fullmatch(text) is None or "task_id" not in names or names - _KNOWN:
        raise LinkMalformed("expected https://... with {task_id} and, if need be, {workspace_id}")
    return text
