"""`taskbell token`: the kept token, for other programs."""

from __future__ import annotations

from taskbell.terminal.errors import reported
from taskbell.terminal.options import ProfileName
from taskbell.terminal.profiles import Profile


@reported()
def token(*, profile: ProfileName = "default") -> None:
    """Print the kept personal access token, for a program such as curl; it is a secret."""
    print(Profile(profile).load().token)
