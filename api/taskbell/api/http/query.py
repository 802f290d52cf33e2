"""Query parameters: read and validated in one pass, unknown ones refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar, get_origin
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request

from taskbell.api.http.problem import field_errors
from taskbell.contract.problems import ProblemCode, Refused

Q = TypeVar("Q", bound="QueryParameters")


class QueryNotValid(Refused):
    """A query parameter is not valid."""

    code = ProblemCode.VALIDATION_FAILED


class QueryParameters(BaseModel):
    """Base of all sets of query parameters. A field that is a list takes its parameter several times."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True)


def query_parameters(model: type[Q]) -> Callable[[Request], Awaitable[Q]]:
    """A dependency that reads the query string as `model`. `http.openapi` reads the model from its attribute.

    FastAPI's own reading of a parameter model costs more than the database query (measured: 0.4 ms for 13 fields).

    Raises (when called):
        QueryNotValid: A parameter is unknown, malformed, or given twice.
    """
    lists = frozenset(name for name, field in model.model_fields.items() if get_origin(field.annotation) is list)

    async def read(request: Request) -> Q:
        given: dict[str, object] = {}
        for name, value in parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True):
            if name in lists:
                given.setdefault(name, [])
                given[name].append(value)  # type: ignore[attr-defined]  # the line above made it a list
            elif name in given:
                raise QueryNotValid(f"?{name}: given twice")
            else:
                given[name] = value
        try:
            return model.model_validate(given)
        except ValidationError as refused:
            errors = field_errors(refused, query=True, known=model.model_fields)
            told = "; ".join(f"{item.pointer}: {item.message}" for item in errors[:3])
            raise QueryNotValid(told, errors=errors) from None

    read.query_model = model  # type: ignore[attr-defined]  # read by http.openapi
    return read
