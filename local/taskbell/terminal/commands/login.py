"""`taskbell login`: signs in, and keeps a personal access token."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

from taskbell.contract.personal_tokens import is_well_formed
from taskbell.contract.scopes import Scope
from taskbell.terminal import asking, here
from taskbell.terminal.addresses import checked
from taskbell.terminal.api import Api, Refused
from taskbell.terminal.errors import Failed, Misused, NotSignedIn, reported, tell
from taskbell.terminal.options import AsJson, ProfileName, memory_of
from taskbell.terminal.profiles import Profile, SignIn
from taskbell.terminal.rendering import as_json
from taskbell.terminal.text import local, plain

SCOPES = (Scope.TASKS_WRITE, Scope.WORKSPACES_WRITE, Scope.NOTIFICATIONS_WRITE, Scope.PROFILE_READ, Scope.EVENTS_READ)
"""What the commands do; the token can change no password and make no other token."""
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class _Asked:
    """Who signs in; a password that is not given is asked for."""

    email: str
    password: str = field(default="", repr=False)


@reported()
def login(
    url: Annotated[
        str | None,
        typer.Argument(
            metavar="URL",
            envvar="TASKBELL_URL",
            help="Address of the installation; default: the platform that runs here.",
        ),
    ] = None,
    *,
    email: Annotated[str | None, typer.Option(help="Your account; asked for if it is not given.")] = None,
    with_token: Annotated[
        bool, typer.Option("--token", help="Ask for a personal access token that you have, and no password.")
    ] = False,
    demo: Annotated[bool, typer.Option("--demo", help="As the demo account of the platform that runs here.")] = False,
    insecure_http: Annotated[
        bool, typer.Option("--insecure-http", help="Permit an address without https on another machine.")
    ] = False,
    profile: ProfileName = "default",
    json_: AsJson = False,
) -> None:
    """Sign in to an installation; passwords and codes are asked for, or read from standard input.

    Keeps a personal access token in a file that only you can read, and no password. `taskbell logout` ends it.
    """
    kept = Profile(profile)
    running = here.running()
    if url is None and running is not None:
        url = running.url
    if url is None:
        raise Misused("give the address of an installation: no platform runs here")
    if demo and (running is None or running.url != url):
        raise Misused("the demo account is that of the platform that runs here, and none runs")
    address = checked(url, insecure=insecure_http)
    if with_token:
        made = _given(address)
    else:
        who = _Asked(running.email, running.password) if demo and running else _Asked(email or "")
        made = _signed_in(address, who)
    former = _former(kept)
    kept.save(made.sign_in)
    memory_of(kept).forget()
    if former is not None and former != made.sign_in:
        _end(former)
    if json_:
        as_json({"url": address, "email": made.sign_in.email, "profile": profile, "expires_at": made.expires_at})
        return
    until = f" until {local(made.expires_at)}" if made.expires_at else ""
    print(f"signed in to {address}{f' as {plain(made.sign_in.email)}' if made.sign_in.email else ''}{until}")


@dataclass(frozen=True, slots=True)
class _Made:
    """What is kept, and when it ends; None if that is not known."""

    sign_in: SignIn
    expires_at: str | None


def _given(address: str) -> _Made:
    """Take a token that exists, and try it before it is kept."""
    token = asking.secret("Personal access token")
    if not is_well_formed(token):
        raise Misused("that is not a whole personal access token (tbp_...)")
    with Api(address, token=token) as api:
        try:
            email = str(api.tried("GET", "/v1/me", key=False)["email"])
        except Refused as refused:
            if refused.code != "insufficient_scope":
                raise refused.failure() from refused
            email = ""  # the token is accepted, and may not know whose it is
    return _Made(SignIn(url=address, token=token, email=email), None)


def _signed_in(address: str, who: _Asked) -> _Made:
    """Sign in with the password, make a token with that session, and end the session."""
    email = who.email or asking.answer("E-mail", option="--email")
    with Api(address) as nobody:
        pair = _session(nobody, email, who.password)
        with Api(address, token=pair["access_token"]) as session:
            name = f"taskbell on {platform.node() or 'an unknown host'}"[:255]
            made = session.send("POST", "/v1/tokens", {"name": name, "scopes": [*SCOPES]}, key=False)
            session.send("POST", "/v1/auth/logout", {"refresh_token": pair["refresh_token"]}, key=False)
    return _Made(SignIn(url=address, token=made["token"], email=email), made["expires_at"])


def _session(api: Api, email: str, password: str) -> dict[str, Any]:
    """The tokens of a new session, with the second factor if the account has one."""
    body = {"email": email, "password": password or asking.secret("Password")}
    try:
        return api.tried("POST", "/v1/auth/login", body, key=False)
    except Refused as refused:
        if refused.code != "second_factor_required":
            raise _as_sign_in(refused) from refused
        challenge = str(refused.problem["challenge"])
    for left in reversed(range(_ATTEMPTS)):
        code = asking.secret("Code of your authenticator, or a recovery code").strip()
        try:
            return api.tried("POST", "/v1/auth/second-factor", {"challenge": challenge, "code": code}, key=False)
        except Refused as refused:
            if refused.code not in {"invalid_second_factor", "validation_failed"} or not left:
                raise _as_sign_in(refused) from refused
            tell(str(refused))
    raise AssertionError("the last attempt returns or raises")


def _as_sign_in(refused: Refused) -> Failed:
    return NotSignedIn(str(refused)) if refused.status in {401, 422} else refused.failure()


def _former(kept: Profile) -> SignIn | None:
    try:
        return kept.load()
    except NotSignedIn:
        return None


def _end(former: SignIn) -> None:
    """End the token that was kept before: nobody has it any more."""
    try:
        with Api(former.url, token=former.token) as api:
            api.send("POST", "/v1/auth/logout", key=False)
    except NotSignedIn:
        return
    except Failed as failed:
        tell(f"the former token at {former.url} could not be ended: {failed}")
