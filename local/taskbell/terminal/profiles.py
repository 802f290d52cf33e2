"""Sign-ins that are kept: a file each, which only its owner reads, in `$XDG_CONFIG_HOME/taskbell/`."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from taskbell.start.private_files import write_private
from taskbell.terminal.errors import Failed, Misused, NotSignedIn

VARIABLES: Final[Mapping[str, str]] = {
    "TASKBELL_PROFILE": "Which sign-in the client commands use, like `--profile`; `default` without it.",
    "TASKBELL_URL": "Base address of an installation, as `https://tasks.example.com`. With `TASKBELL_TOKEN` the client "
    "commands use both in place of a kept sign-in, for programs.",
    "TASKBELL_TOKEN": "A personal access token for the installation at `TASKBELL_URL`.",
}
"""Environment variables of the client commands, with their meaning."""
_TOKEN = re.compile(r"[!-~]+")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """Where to go, and the token that opens it.

    Attributes:
        url: Base address of the installation, without a slash at the end.
        token: A personal access token.
        email: Of the account, for people; empty if the token came from the environment.
    """

    url: str
    token: str = field(repr=False)
    email: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be sent.

        Raises:
            ValueError: A token has characters that no token has, or something is no text.
        """
        if not all(isinstance(each, str) for each in (self.url, self.token, self.email)):
            raise ValueError("not text")
        if not _TOKEN.fullmatch(self.token):
            raise ValueError("not a token")


class Profile:
    """A named place for one sign-in."""

    def __init__(self, name: str) -> None:
        """Take the name that a person gave.

        Raises:
            Misused: It would not do as the name of a file.
        """
        if not _NAME.fullmatch(name):
            raise Misused(f"not a name of a profile: {name!r}; letters, digits, dots, dashes and underscores are")
        self.name = name
        self.path = folder("XDG_CONFIG_HOME", ".config") / f"{name}.json"

    def load(self, *, to_end: bool = False) -> SignIn:
        """Read the sign-in.

        Args:
            to_end: It is only needed to end its token, whoever else has read it.

        Raises:
            NotSignedIn: There is none, or others could have read or written it.
        """
        try:
            with self.path.open("rb") as file:
                status = os.fstat(file.fileno())
                text = file.read()
        except FileNotFoundError:
            raise NotSignedIn(f"not signed in: `{self.command('login')}` signs you in") from None
        except OSError as refused:
            raise NotSignedIn(f"{self.path} cannot be read: {refused.strerror}") from refused
        if status.st_uid != os.getuid():
            raise NotSignedIn(f"{self.path} belongs to another user: delete it")
        if status.st_mode & 0o077 and not to_end:
            raise NotSignedIn(
                f"other users of this machine can read your token in {self.path} (mode {status.st_mode & 0o777:o}):"
                f" `{self.command('login')}` ends it and makes a new one"
            )
        try:
            return SignIn(**json.loads(text))
        except (ValueError, TypeError):
            raise NotSignedIn(f"{self.path} is damaged: `{self.command('login')}` replaces it") from None

    def save(self, sign_in: SignIn) -> None:
        """Replace the sign-in.

        Raises:
            Failed: The file cannot be written.
        """
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(self.path, json.dumps(asdict(sign_in), indent=2) + "\n")
        except OSError as refused:
            raise Failed(f"the sign-in cannot be kept in {self.path}: {refused.strerror}") from refused

    def delete(self) -> None:
        """Forget the sign-in; nothing happens if there is none."""
        self.path.unlink(missing_ok=True)

    def command(self, name: str) -> str:
        """A command that a message names, with the profile if it is not the usual one."""
        return f"taskbell {name}" if self.name == "default" else f"taskbell {name} --profile {self.name}"


def folder(variable: str, usual: str) -> Path:
    """Our folder below the one that a variable of the XDG base directories names (an absolute path)."""
    given = Path(os.environ.get(variable, ""))
    return (given if given.is_absolute() else Path.home() / usual) / "taskbell"


def from_environment() -> SignIn | None:
    """The sign-in of a program; None without `TASKBELL_TOKEN`.

    Raises:
        Misused: The token has no address to go to, or is none.
    """
    url, token = os.environ.get("TASKBELL_URL", ""), os.environ.get("TASKBELL_TOKEN", "")
    if not token:
        return None
    if not url:
        raise Misused("TASKBELL_TOKEN needs TASKBELL_URL, the address of the installation that it is for")
    try:
        return SignIn(url=url, token=token)
    except ValueError:
        raise Misused("TASKBELL_TOKEN has characters that no token has, such as a space or the end of a line") from None
