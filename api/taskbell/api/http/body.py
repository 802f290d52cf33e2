"""Request bodies: parsed and validated in one pass, strictly, straight from the bytes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError
from pydantic_core import PydanticCustomError
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


NO_NUL = AfterValidator(_refuse_nul)
"""For text that PostgreSQL shall hold: it cannot store U+0000. It follows a length bound."""


def _stripped(text: str) -> str:
    found = text.strip()
    if not found:
        raise PydanticCustomError("blank", "the text must not be blank")
    return found


Name = Annotated[str, StringConstraints(min_length=1, max_length=255), NO_NUL, AfterValidator(_stripped)]
"""What something is called: not blank, kept without space around it."""


def json_body(model: type[M]) -> Callable[[Request], Awaitable[M]]:
    """A dependency that reads the request's body as `model`; `http.openapi` documents it from the attribute.

    Raises (when called):
        MediaTypeNotSupported: The body is announced as something else than JSON.
        BodyNotJson: It is no JSON text (RFC 8259).
        BodyNotValid: It is JSON of another shape.
    """

    async def read(request: Request) -> M:
        announced = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
        if announced != "application/json" and not announced.endswith("+json"):
            raise MediaTypeNotSupported
        return parse_body(model, await request.body())

    read.json_body_model = model  # type: ignore[attr-defined]  # read by http.openapi
    return read


def parse_body(model: type[M], raw: bytes) -> M:
    """Read `raw` as JSON of the shape of `model`; see `json_body` for what it raises."""
    try:
        return model.model_validate_json(raw)
    except ValidationError as refused:
        found = field_errors(refused)
        if found[0].code == "json_invalid":
            raise BodyNotJson(found[0].message, errors=found) from None
        raise BodyNotValid(
            "; ".join(f"{item.pointer or '/'}: {item.message}" for item in found[:3]), errors=found
        ) from None
