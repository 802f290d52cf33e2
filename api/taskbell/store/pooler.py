"""The part of PgBouncer's configuration that comes from the URLs of the programs: their server, roles and passwords."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from taskbell.kit.postgres.urls import server_url_fault
from taskbell.kit.settings import Settings
from taskbell.store import roles

POOLED = (roles.API, roles.GATEWAY, roles.SWEEPER, roles.DELIVERY)
"""Who may come by a pooler. The relay and the owner need sessions of their own."""
SERVER, USERS = "server.ini", "users.txt"
"""The files. `%include` of the first is the last line of the section `pgbouncer`, whose `auth_file` is the second: that
section must not begin twice, since it would forget what it was told before."""
_PLAIN = re.compile(r"[\w.:-]+", re.ASCII)
_OF_TLS = {"sslmode": "server_tls_sslmode", "sslrootcert": "server_tls_ca_file"}
"""What URLs may say after `?`, and PgBouncer's word for it."""


class PoolerSettings(Settings):
    """Settings of `python -m taskbell.store pooler`."""

    role_urls: Annotated[tuple[SecretStr, ...], NoDecode] = Field(min_length=1)
    """Database URLs of API, gateway, sweeper and delivery, separated by commas: one server and one database. Of what
    may follow `?`, `sslmode` and `sslrootcert` are understood."""

    @field_validator("role_urls", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("role_urls")
    @classmethod
    def _alike(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        given = [url.get_secret_value() for url in value]
        for url in given:
            if fault := server_url_fault(url):
                raise ValueError(fault)
        parts = [urlsplit(url) for url in given]
        if sorted(part.username or "" for part in parts) != sorted(POOLED):
            raise ValueError(f"one URL each of {', '.join(POOLED)}, no other")
        if len({_place(part) for part in parts}) > 1:
            raise ValueError("the URLs lead to several servers or databases, or differ in TLS")
        _, _, database, asked = _place(parts[0])
        if unknown := sorted({name for name, _ in asked} - set(_OF_TLS)):
            raise ValueError(f"PgBouncer does not understand {', '.join(unknown)}")
        if not all(_PLAIN.fullmatch(text) for text in (database, parts[0].hostname or "")):
            raise ValueError("PgBouncer reads plain names only: letters, digits, dots, dashes and underscores")
        return value


def _place(url: SplitResult) -> tuple[str | None, int, str, tuple[tuple[str, str], ...]]:
    """The server, the database, and how to connect."""
    asked = tuple(sorted((name, values[-1]) for name, values in parse_qs(url.query).items()))
    return url.hostname, url.port or 5432, unquote(url.path.removeprefix("/")), asked


def configuration(urls: Iterable[SecretStr]) -> Mapping[str, str]:
    """The files by their names. PgBouncer logs in as each role with its own password, as its clients do to it."""
    parts = [urlsplit(url.get_secret_value()) for url in urls]
    host, port, database, asked = _place(parts[0])
    lines = [
        *(f"{_OF_TLS[name]} = {value}" for name, value in asked),
        "[databases]",
        f"{database} = host={host} port={port} dbname={database}",
    ]
    users = [f"{_quoted(part.username)} {_quoted(part.password)}" for part in parts]
    return {SERVER: "\n".join(lines) + "\n", USERS: "\n".join(users) + "\n"}


def _quoted(text: str | None) -> str:
    return '"' + unquote(text or "").replace('"', '""') + '"'


def write(folder: Path, settings: PoolerSettings) -> None:
    """Write the files into a folder that exists; they hold passwords, so that only the owner reads them."""
    for name, text in configuration(settings.role_urls).items():
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
