"""Fixture: the data of events, checked against their schemas."""

from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
import referencing

from taskbell.contract.schemas.documents import event_schemas


@pytest.fixture(scope="session")
def validate_event() -> Callable[[str, Any], None]:
    """Raises `jsonschema.ValidationError` for data that is not what the schema of this name describes."""
    resources = [referencing.Resource.from_contents(schema) for schema in event_schemas().values()]
    registry = referencing.Registry().with_resources([(resource.id(), resource) for resource in resources])
    kind = jsonschema.Draft202012Validator
    validators = {
        name: kind(schema, registry=registry, format_checker=kind.FORMAT_CHECKER)
        for name, schema in event_schemas().items()
    }

    def validate(name: str, data: Any) -> None:
        validators[name].validate(data)

    return validate
