"""One table says which scope each operation needs; it and the OpenAPI document name the same operations."""

from taskbell.api.app import create_app
from taskbell.api.scopes import policy
from taskbell.api.settings import ApiSettings
from taskbell.kit.jwt import generate_keys


def test_every_operation_stands_in_the_table_of_scopes():
    """An operation that needs a sign-in has a scope, or is for sessions alone, or for any token: each is decided."""
    settings = ApiSettings(database_url="postgresql://nowhere", nats_url="nats://nowhere", signing_keys=generate_keys())
    document = create_app(settings).openapi()
    secured = {
        f"{method.upper()} {path}"
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if isinstance(operation, dict) and operation.get("security")
    }
    assert secured == policy.SCOPES.keys() | policy.SESSION_ONLY | policy.ANY_TOKEN
    assert len(secured) == len(policy.SCOPES) + len(policy.SESSION_ONLY) + len(policy.ANY_TOKEN)
    assert len(secured) > 60
