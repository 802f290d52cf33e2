"""What the OpenAPI document says of providers: where programs get access tokens that the API accepts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from taskbell.api.oidc.documents import well_known
from taskbell.api.oidc.providers import Provider
from taskbell.api.scopes import policy


def tell(schema: dict[str, Any], providers: Iterable[Provider]) -> None:
    """Add a security scheme for each provider whose access tokens are accepted, and the operations that take them."""
    for provider in providers:
        if not provider.audiences:
            continue
        name = f"oidc-{provider.id}"
        schema["components"].setdefault("securitySchemes", {})[name] = {
            "type": "openIdConnect",
            "openIdConnectUrl": well_known(provider.issuer),
            "description": f"An access token of {provider.name}, of a user who has signed in through it before.",
        }
        for path, operations in schema["paths"].items():
            for method, operation in operations.items():
                if policy.needed(method.upper(), path) is not None:
                    operation["security"].append({name: []})
