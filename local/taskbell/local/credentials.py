"""Passwords and signing keys, made at the first start and stored in the data directory."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from taskbell.contract.nats_users import Program
from taskbell.kit.jwt import SigningKeysMalformed, generate_keys, parse_keys
from taskbell.kit.sealing import generate_sealing_keys
from taskbell.local.data_dir import DataDir, StartRefused
from taskbell.start.private_files import write_private
from taskbell.store.roles import ROLES

_Name = TypeVar("_Name", bound=str)


class Credentials(BaseModel):
    """Everything secret about one platform."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    superuser_password: str
    """Of PostgreSQL's role `postgres`, on the primary and the replica."""
    role_passwords: dict[str, str]
    """By role of PostgreSQL."""
    nats_password: str
    """Of the user of NATS without limits."""
    nats_passwords: dict[Program, str] = {}
    """Of the users of NATS, by program."""
    signing_keys: str
    """JWK Set (RFC 7517) as text; its first key signs access tokens."""
    second_factor_keys: str = ""
    """JWK Set as text; its first key encrypts the secrets of authenticators."""
    demo_email: str
    """Address of the demo account."""
    demo_password: str
    """The demo account's first password."""


def generate() -> Credentials:
    """Return new random credentials."""
    return Credentials(
        superuser_password=secrets.token_urlsafe(24),
        role_passwords={role: secrets.token_urlsafe(24) for role in ROLES},
        nats_password=secrets.token_urlsafe(24),
        nats_passwords={program: secrets.token_urlsafe(24) for program in Program},
        signing_keys=generate_keys(),
        second_factor_keys=generate_sealing_keys(),
        demo_email="demo@example.com",
        demo_password=secrets.token_urlsafe(12),
    )


def load(data: DataDir) -> Credentials:
    """Read the credentials of a data directory.

    Raises:
        StartRefused: They are missing or damaged.
    """
    advice = "restore the file, or start with another TASKBELL_DATA_DIR; nothing was changed"
    try:
        found = Credentials.model_validate_json(data.secrets.read_bytes())
        parse_keys(found.signing_keys)
    except OSError as unreadable:
        raise StartRefused(f"{data.secrets} cannot be read ({unreadable.strerror}): {advice}") from unreadable
    except (ValidationError, SigningKeysMalformed) as damaged:
        raise StartRefused(f"{data.secrets} is damaged: {advice}") from damaged
    return found


def load_or_generate(data: DataDir) -> Credentials:
    """Read the credentials, or make and store new ones if there is no data yet. New roles and programs get passwords.

    Raises:
        StartRefused: They are damaged, or missing though there is a database that needs them.
    """
    if data.secrets.exists() or data.postgres.exists():
        found = load(data)
        roles = _complete(found.role_passwords, ROLES)
        programs = _complete(found.nats_passwords, Program)
        keys = found.second_factor_keys or generate_sealing_keys()
        new = {"role_passwords": roles, "nats_passwords": programs, "second_factor_keys": keys}
        completed = found.model_copy(update=new)
        if completed != found:  # an earlier version made the data
            save(data, completed)
            found = completed
        return found
    made = generate()
    save(data, made)
    return made


def save(data: DataDir, credentials: Credentials) -> None:
    """Store credentials."""
    write_private(data.secrets, credentials.model_dump_json(indent=2) + "\n")


def _complete(known: Mapping[_Name, str], names: Iterable[_Name]) -> dict[_Name, str]:
    return {**known, **{name: secrets.token_urlsafe(24) for name in names if name not in known}}
