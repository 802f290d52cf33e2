"""Settings from environment variables with the prefix `TASKBELL_`; a wrong one stops the process."""

from __future__ import annotations

import sys
from typing import Any, Literal, NoReturn, TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "TASKBELL_"


class Settings(BaseSettings):
    """Base of all settings: immutable, described field by field, secrets never shown."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
        validate_default=True,
        use_attribute_docstrings=True,
    )


class ProgramSettings(Settings):
    """Base of the settings of a program."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severity that is logged."""


S = TypeVar("S", bound=Settings)


def load(kind: type[S], **overrides: Any) -> S:
    """Read settings from the environment, or stop the process with one line per wrong variable (exit status 2)."""
    try:
        return kind(**overrides)
    except ValidationError as refused:
        _stop(refused)


def _stop(refused: ValidationError) -> NoReturn:
    for error in refused.errors(include_url=False, include_input=False):
        name = PREFIX + str(error["loc"][0]).upper() if error["loc"] else "settings"
        place = ""
        if len(error["loc"]) > 1 and isinstance(error["loc"][1], int):
            inside = "".join(f", {part}" for part in error["loc"][2:])
            place = f" (entry {error['loc'][1] + 1}{inside})"
        hint = "; spans of time are written as in ISO 8601: PT1H, P7D" if error["type"] == "time_delta_parsing" else ""
        sys.stderr.write(f"taskbell: {name}{place}: {error['msg']}{hint}\n")
    raise SystemExit(2) from None
