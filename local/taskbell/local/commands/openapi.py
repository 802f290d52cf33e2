"""`taskbell openapi`: the description of the HTTP interface."""

from __future__ import annotations

import json

from pydantic import SecretStr

from taskbell.api.settings import ApiSettings
from taskbell.kit.jwt import generate_keys


def openapi() -> None:
    """Print the OpenAPI document of the API; needs no server and no settings."""
    print(text())


def text() -> str:
    """The document of an API with the usual settings."""
    from taskbell.api.app import create_app  # noqa: PLC0415 -- the whole API; other commands start faster without

    nowhere = ApiSettings(
        database_url=SecretStr("postgresql://unused"),
        nats_url=SecretStr("nats://unused"),
        signing_keys=SecretStr(generate_keys()),
    )
    return json.dumps(create_app(nowhere).openapi(), indent=2, ensure_ascii=False)
