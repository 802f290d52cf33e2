"""`taskbell logout`: ends the token, and forgets it."""

from __future__ import annotations

from typing import Annotated

import typer

from taskbell.terminal.api import Api
from taskbell.terminal.errors import NotSignedIn, Unreachable, reported
from taskbell.terminal.options import AsJson, ProfileName, memory_of
from taskbell.terminal.profiles import Profile
from taskbell.terminal.rendering import as_json


@reported()
def logout(
    *,
    here_only: Annotated[
        bool, typer.Option("--here-only", help="Forget the token here, though it stays valid where it was made.")
    ] = False,
    profile: ProfileName = "default",
    json_: AsJson = False,
) -> None:
    """Sign out: the token is refused from now on, and deleted here."""
    kept = Profile(profile)
    found = kept.load(to_end=True)
    if not here_only:
        try:
            with Api(found.url, token=found.token) as api:
                api.send("POST", "/v1/auth/logout", key=False)
        except NotSignedIn:
            pass  # it has ended already
        except Unreachable as away:
            raise Unreachable(f"{away}; you are still signed in, --here-only forgets the token") from away
    kept.delete()
    memory_of(kept).forget()
    if json_:
        as_json({"url": found.url, "profile": profile})
    else:
        print(f"signed out of {found.url}")
