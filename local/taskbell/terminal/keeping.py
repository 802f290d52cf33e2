"""How a sign-in becomes a kept one: its session is exchanged for a personal access token, which ends the former one."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from taskbell.contract.scopes import Scope
from taskbell.terminal.api import Api
from taskbell.terminal.errors import Failed, NotSignedIn, tell
from taskbell.terminal.options import memory_of
from taskbell.terminal.profiles import Profile, SignIn
from taskbell.terminal.rendering import as_json
from taskbell.terminal.text import local, plain

SCOPES = (Scope.TASKS_WRITE, Scope.WORKSPACES_WRITE, Scope.NOTIFICATIONS_WRITE, Scope.PROFILE_READ, Scope.EVENTS_READ)
"""What the commands do; the token can change no password and make no other token."""


@dataclass(frozen=True, slots=True)
class Made:
    """What is kept, and when it ends; None if that is not known."""

    sign_in: SignIn
    expires_at: str | None


def exchanged(address: str, pair: Mapping[str, Any], *, email: str) -> Made:
    """Make a token with a session, and end the session."""
    with Api(address, token=pair["access_token"]) as session:
        name = f"taskbell on {platform.node() or 'an unknown host'}"[:255]
        made = session.send("POST", "/v1/tokens", {"name": name, "scopes": [*SCOPES]}, key=False)
        session.send("POST", "/v1/auth/logout", {"refresh_token": pair["refresh_token"]}, key=False)
    return Made(SignIn(url=address, token=made["token"], email=email), made["expires_at"])


def keep(made: Made, profile: Profile, *, json_: bool) -> None:
    """Keep a sign-in in place of the former one of the profile, and say so.

    Raises:
        Failed: It cannot be kept; a token that was just made is ended.
    """
    former = _former(profile)
    try:
        profile.save(made.sign_in)
    except Failed:
        if made.expires_at is not None:
            _end(made.sign_in)
        raise
    memory_of(profile).forget()
    if former is not None and former != made.sign_in:
        _end(former)
    url, email = made.sign_in.url, made.sign_in.email
    if json_:
        as_json({"url": url, "email": email, "profile": profile.name, "expires_at": made.expires_at})
        return
    until = f" until {local(made.expires_at)}" if made.expires_at else ""
    print(f"signed in to {url}{f' as {plain(email)}' if email else ''}{until}")


def _former(profile: Profile) -> SignIn | None:
    try:
        return profile.load(to_end=True)
    except NotSignedIn:
        return None


def _end(left: SignIn) -> None:
    """End a token that nobody has any more."""
    try:
        with Api(left.url, token=left.token) as api:
            api.send("POST", "/v1/auth/logout", key=False)
    except NotSignedIn:
        return
    except Failed as failed:
        tell(f"a token at {left.url} could not be ended: {failed}")
