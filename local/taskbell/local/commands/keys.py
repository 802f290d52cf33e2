"""`taskbell keys`: the keys that sign access tokens, and those that encrypt the secrets of authenticators."""

from __future__ import annotations

import sys

import typer

from taskbell.kit.jwt import generate_keys, parse_keys
from taskbell.kit.sealing import generate_sealing_keys
from taskbell.kit.settings import load
from taskbell.local import credentials
from taskbell.local.data_dir import DataDir, StartRefused
from taskbell.local.settings import LocalSettings


def new() -> None:
    """Print a JWK Set with one new private key, for TASKBELL_SIGNING_KEYS."""
    print(generate_keys())


def second_factor() -> None:
    """Print a JWK Set with one new key, for TASKBELL_SECOND_FACTOR_KEYS."""
    print(generate_sealing_keys())


def rotate() -> None:
    """Put a new signing key first in the data directory and keep the old ones, which go on verifying."""
    data = DataDir(load(LocalSettings).data_dir)
    try:
        kept = credentials.load(data)
    except StartRefused as refused:
        sys.stderr.write(f"taskbell: {refused}\n")
        raise typer.Exit(refused.status) from None
    keys = generate_keys(kept.signing_keys)
    credentials.save(data, kept.model_copy(update={"signing_keys": keys}))
    count = len(parse_keys(keys).keys)
    print(f"{count} keys, the new one first; the next start of `taskbell up` signs with it")


def group() -> typer.Typer:
    """Return the commands below `taskbell keys`."""
    app = typer.Typer(name="keys", help="Keys of the API.", no_args_is_help=True)
    app.command()(new)
    app.command()(second_factor)
    app.command()(rotate)
    return app
