"""What is wrong with the fields of a custom resource, in sentences: the field, what was given, what is allowed."""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

_LONGEST_SHOWN = 60
_ALLOWED = {
    "missing": "it is missing",
    "greater_than_equal": "the least is {ge}",
    "less_than_equal": "the most is {le}",
    "literal_error": "allowed are {expected}",
    "string_pattern_mismatch": "it must match {pattern}",
    "string_too_short": "the shortest has {min_length} characters",
    "string_too_long": "the longest has {max_length} characters",
    "too_long": "the most are {max_length} entries",
    "int_type": "it must be a whole number",
    "int_parsing": "it must be a whole number",
    "int_from_float": "it must be a whole number",
    "bool_type": "it must be true or false",
    "bool_parsing": "it must be true or false",
    "string_type": "it must be a text",
    "list_type": "it must be a list",
    "dict_type": "it must be a map",
    "model_type": "it must be a map of fields",
}


def faults_in_words(wrong: ValidationError) -> str:
    """One sentence for each wrong field of a spec, such as `spec.replicas.max is 0: the least is 1`."""
    return "; ".join(_fault(error) for error in wrong.errors(include_url=False))


def _fault(error: ErrorDetails) -> str:
    place = _path(error["loc"])
    if error["type"] == "missing":
        return f"{place} is missing"
    context = {name: str(value).replace("'", "").replace(" or ", ", ") for name, value in error.get("ctx", {}).items()}
    allowed = _ALLOWED.get(error["type"], "this is not allowed here").format_map(context)
    return f"{place} is {_shown(error['input'])}: {allowed}"


def _path(steps: tuple[int | str, ...]) -> str:
    """Where a field is, as in `kubectl explain`, with the number of an entry in a list from 0."""
    return "spec" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


def _shown(value: Any) -> str:
    """A value as a manifest has it, shortened."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
