"""`run.json`: the addresses and processes of a running platform, for scripts."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from taskbell.start.private_files import write_private


class Demo(BaseModel):
    """The demo account."""

    email: str
    password: str
    """The first password; it may have been changed since."""


class Running(BaseModel):
    """One process of the platform."""

    pid: int | None
    """None while it restarts."""
    port: int | None
    """The port it serves on 127.0.0.1."""
    log: str
    """Where its output is."""


class RunFile(BaseModel):
    """The whole file. Its URLs hold passwords, so only the owner can read it."""

    model_config = ConfigDict(extra="ignore")

    pid: int
    """The process of `taskbell up` itself."""
    api_url: str
    """Base of the API, without `/v1`."""
    gateway_url: str
    """WebSocket address of the gateway."""
    nats_url: str
    """NATS under the account of the platform."""
    database_url: str
    """PostgreSQL's primary under the API's role."""
    replica_urls: list[str]
    """Its replicas under the API's role."""
    owner_database_url: str
    """The primary under the role that owns the schema."""
    demo: Demo
    """An account to try the platform with."""
    components: dict[str, Running]
    """Every process by name."""

    def write(self, path: Path) -> None:
        """Replace the file atomically."""
        write_private(path, self.model_dump_json(indent=2) + "\n")


def read(path: Path) -> RunFile | None:
    """Return what a running platform wrote, or None if the file is missing or malformed."""
    try:
        return RunFile.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
