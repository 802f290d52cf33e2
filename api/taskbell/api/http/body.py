"""Request bodies: parsed and strictly validated in one pass, directly from the bytes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    ValidationError,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema
from starlette.requests import Request

from taskbell.api.http.problem import field_errors
from taskbell.contract.problems import ProblemCode, Refused

M = TypeVar("M", bound="RequestBody")


class BodyNotJson(Refused):
    """The body is not valid JSON."""

    code = ProblemCode.INVALID_JSON


class BodyNotValid(Refused):
    """A field of the body is not valid."""

    code = ProblemCode.VALIDATION_FAILED


class MediaTypeNotSupported(Refused):
    """The body must be application/json."""

    code = ProblemCode.UNSUPPORTED_MEDIA_TYPE


class RequestBody(BaseModel):
    """Base of all request bodies: unknown fields and values of another type are refused, never coerced."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True
    )


def _refuse_nul(text: str) -> str:
    if "\x00" in text:
        raise PydanticCustomError("nul_character", "the character U+0000 is not allowed")
    return text


class _NoNul:
    """Refuses U+0000, and says so in the JSON Schema."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(_refuse_nul, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "pattern": r"^[^\x00]*$"}


NO_NUL = _NoNul()
"""For text that PostgreSQL stores: it cannot hold U+0000. Put it after a length limit."""


def _stripped(text: str) -> str:
    found = text.strip()
    if not found:
        raise PydanticCustomError("blank", "the text must not be blank")
    return found


Name = Annotated[str, StringConstraints(min_length=1, max_length=255), NO_NUL, AfterValidator(_stripped)]
"""A name: not blank, stored without surrounding space."""


def exactly_one(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Of a JSON Schema: a value fits either one or the other of two, and not both.

    `oneOf` says the same, but generators of clients make three types of it.
    """
    return {"if": first, "then": {"not": second}, "else": second}


def given(name: str, form: dict[str, Any]) -> dict[str, Any]:
    """A JSON Schema: the object has this property in this form."""
    return {"required": [name], "properties": {name: form}}


def json_body(model: type[M], *, optional: bool = False) -> Callable[[Request], Awaitable[M]]:
    """A dependency that reads the request body as `model`; `openapi` documents it from the attributes.

    `optional`: no body means `{}`.

    Raises (when called):
        MediaTypeNotSupported: The content type is not JSON.
        BodyNotJson: The body is not JSON (RFC 8259).
        BodyNotValid: The JSON does not fit the model.
    """

    async def read(request: Request) -> M:
        announced = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
        if announced != "application/json" and not announced.endswith("+json"):
            raise MediaTypeNotSupported
        raw = await request.body()
        return model() if optional and not raw else parse_body(model, raw)

    read.json_body_model = model  # type: ignore[attr-defined]  # read by http.openapi
    read.json_body_required = not optional  # type: ignore[attr-defined]  # read by http.openapi
    return read


def parse_body(model: type[M], raw: bytes) -> M:
    """Read `raw` as JSON that fits `model`; raises the errors of `json_body`."""
    try:
        return model.model_validate_json(raw)
    except ValidationError as refused:
        found = field_errors(refused, known=model.model_fields)
        if found[0].code == "json_invalid":
            raise BodyNotJson(found[0].message, errors=found) from None
        raise BodyNotValid(
            "; ".join(f"{item.pointer or '/'}: {item.message}" for item in found[:3]), errors=found
        ) from None
