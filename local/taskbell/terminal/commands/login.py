"""`taskbell login`: signs in, and keeps a personal access token."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from taskbell.contract.personal_tokens import is_well_formed
from taskbell.terminal import asking, here
from taskbell.terminal.api import Api, Refused
from taskbell.terminal.errors import Failed, Misused, NotSignedIn, reported, tell
from taskbell.terminal.keeping import Made, exchanged, keep
from taskbell.terminal.options import AsJson, InsecureHttp, ProfileName, Url
from taskbell.terminal.profiles import Profile, SignIn

_ATTEMPTS = 3


@reported()
def login(
    url: Url = None,
    *,
    email: Annotated[str | None, typer.Option(help="Your account; asked for if it is not given.")] = None,
    with_token: Annotated[
        bool, typer.Option("--token", help="Ask for a personal access token that you have, and no password.")
    ] = False,
    demo: Annotated[bool, typer.Option("--demo", help="As the demo account of the platform that runs here.")] = False,
    insecure_http: InsecureHttp = False,
    profile: ProfileName = "default",
    json_: AsJson = False,
) -> None:
    """Sign in to an installation; passwords and codes are asked for, or read from standard input.

    Keeps a personal access token in a file that only you can read, and no password. `taskbell logout` ends it.
    """
    kept = Profile(profile)
    if demo:
        made = _demo(url)
    else:
        address = here.address(url, insecure=insecure_http)
        made = _given(address) if with_token else _by_password(address, *_asked(email))
    keep(made, kept, json_=json_)


def _asked(email: str | None) -> tuple[str, str]:
    return email or asking.answer("E-mail", option="--email"), asking.secret("Password")


def _demo(url: str | None) -> Made:
    """Sign in as the demo account, and send its password nowhere else."""
    running = here.running()
    if running is None or url not in {None, running.url}:
        raise Misused("the demo account is that of the platform that runs here, and none runs")
    return _by_password(running.url, running.email, running.password)


def _given(address: str) -> Made:
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
    return Made(SignIn(url=address, token=token, email=email), None)


def _by_password(address: str, email: str, password: str) -> Made:
    with Api(address) as nobody:
        return exchanged(address, _session(nobody, email, password), email=email)


def _session(api: Api, email: str, password: str) -> dict[str, Any]:
    """The tokens of a new session, with the second factor if the account has one."""
    try:
        return api.tried("POST", "/v1/auth/login", {"email": email, "password": password}, key=False)
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
