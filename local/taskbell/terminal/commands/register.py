"""`taskbell register`: a new account."""

from __future__ import annotations

from typing import Annotated

import typer

from taskbell.terminal import asking, here
from taskbell.terminal.api import Api
from taskbell.terminal.errors import reported
from taskbell.terminal.keeping import exchanged, keep
from taskbell.terminal.options import AsJson, InsecureHttp, ProfileName, Url
from taskbell.terminal.profiles import Profile


@reported()
def register(
    url: Url = None,
    *,
    email: Annotated[str | None, typer.Option(help="Your e-mail address; asked for if it is not given.")] = None,
    name: Annotated[str | None, typer.Option(help="Your name, as others see it; asked for if it is not given.")] = None,
    insecure_http: InsecureHttp = False,
    profile: ProfileName = "default",
    json_: AsJson = False,
) -> None:
    """Create an account with a personal workspace, and sign in; the password is asked for."""
    kept = Profile(profile)
    address = here.address(url, insecure=insecure_http)
    body = {
        "email": email or asking.answer("E-mail", option="--email"),
        "name": name or asking.answer("Name", option="--name"),
        "password": asking.secret("Password"),
    }
    with Api(address) as nobody:
        pair = nobody.send("POST", "/v1/auth/register", body, key=False)
    keep(exchanged(address, pair, email=body["email"]), kept, json_=json_)
