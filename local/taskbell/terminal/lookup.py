"""From what a person types to ids: tasks by number, workspaces by name, members by e-mail address."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from taskbell.terminal.api import Api
from taskbell.terminal.errors import Failed, Misused, NothingFound, tell
from taskbell.terminal.memory import Memory, Shown

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]{1,9}")
_NO_VERSION = 0


def task(text: str, memory: Memory) -> Shown:
    """The task that a number in the last list, or a whole id, means; of an id no version is known (0).

    Raises:
        Misused: It is neither.
        NothingFound: No task was shown under this number.
    """
    if _ID.fullmatch(text):
        known = [shown for shown in memory.read().shown if shown.id == text.lower()]
        return known[0] if known else Shown(text.lower(), _NO_VERSION)
    if not _NUMBER.fullmatch(text):
        raise Misused(f"not a task: {text!r}; give its number in the last `taskbell tasks`, or its whole id")
    if not memory.numbers:
        raise Misused("numbers are for people who signed in with `taskbell login`: give the whole id of the task")
    shown = memory.read().shown
    if not 1 <= int(text) <= len(shown):
        raise NothingFound(f"no task was shown as {text}: `taskbell tasks` numbers them")
    return shown[int(text) - 1]


def workspace(api: Api, text: str | None) -> str | None:
    """The id of a workspace; None for none, which is the personal one.

    Raises:
        NothingFound: You belong to none of this name.
        Misused: You belong to several.
    """
    if text is None or _ID.fullmatch(text):
        return text
    found = [each for each in api.pages("/v1/workspaces", limit=None) if each["name"].casefold() == text.casefold()]
    return str(_only(found, text, kind="workspace", id_field="id")["id"])


def invitation(api: Api, text: str) -> str:
    """The id of an invitation to you, by the name of its workspace.

    Raises:
        NothingFound: Nobody has invited you to a workspace of this name.
        Misused: You are invited to several.
    """
    if _ID.fullmatch(text):
        return text
    waiting = api.pages("/v1/invitations", limit=None)
    found = [each for each in waiting if each["workspace_name"].casefold() == text.casefold()]
    return str(_only(found, text, kind="workspace that you are invited to", id_field="id")["id"])


def members(api: Api, texts: Iterable[str], *, workspace_id: str | None) -> list[str]:
    """The ids of members that are given as `me`, e-mail address, name or id.

    Raises:
        NothingFound: The workspace has no such member.
        Misused: It has several of this name.
    """
    wanted = list(texts)
    if all(_ID.fullmatch(text) for text in wanted):
        return wanted
    me = api.get("/v1/me")
    known: list[dict[str, Any]] = []
    if any(text != "me" and not _ID.fullmatch(text) for text in wanted):
        path = f"/v1/workspaces/{workspace_id or me['personal_workspace_id']}/members"
        known = list(api.pages(path, limit=None))
    return [_member(text, known, me=me["id"]) for text in wanted]


def names(api: Api, workspace_id: str, ids: list[str]) -> list[str]:
    """The names of members; the ids of those who have left, and of all if the token may not read names."""
    if not ids:
        return []
    members = api.pages(f"/v1/workspaces/{workspace_id}/members", limit=None)
    try:
        known = {member["user_id"]: member["name"] for member in members}
    except Failed as failed:
        tell(f"the names of members are not known: {failed}")
        return ids
    return [known.get(one, one) for one in ids]


def _member(text: str, known: Sequence[dict[str, Any]], *, me: str) -> str:
    if text == "me" or _ID.fullmatch(text):
        return me if text == "me" else text
    found = [each for each in known if text.casefold() in {each["email"].casefold(), each["name"].casefold()}]
    return str(_only(found, text, kind="member of the workspace", id_field="user_id")["user_id"])


def _only(found: Sequence[dict[str, Any]], text: str, *, kind: str, id_field: str) -> dict[str, Any]:
    if not found:
        raise NothingFound(f"no {kind} is called {text!r}")
    if len(found) > 1:
        ids = ", ".join(str(each[id_field]) for each in found)
        raise Misused(f"{len(found)} are called {text!r}: give the id ({ids})")
    return found[0]
