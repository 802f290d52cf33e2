"""`docs/reference/settings.md`, from the settings classes of all rooms."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from taskbell.kit.settings import PREFIX, Settings
from taskbell.terminal.profiles import VARIABLES

ROOT = Path(__file__).resolve().parents[2]
GROUPS = {
    "ProgramSettings": "Every program",
    "PooledSettings": "API, gateway, delivery worker and sweeps",
    "LocalSettings": "`taskbell up`",
    "ApiSettings": "API",
    "RelaySettings": "Relay",
    "GatewaySettings": "Gateway",
    "DeliverySettings": "Delivery worker",
    "ProviderSettings": "Delivery worker: providers of alerts",
    "OperatorSettings": "Operator",
    "SweepSettings": "`taskbell remind --kind due`, `overdue`, `stale` and `digest`",
    "RetentionSettings": "`taskbell remind --kind maintenance`",
    "MaintenanceSettings": "Partition maintenance",
    "MigrateSettings": "`taskbell migrate`",
    "SchemaSettings": "`python -m taskbell.store migrate` and `wait`",
    "RoleSettings": "`python -m taskbell.store roles`",
    "PoolerSettings": "`python -m taskbell.store pooler`",
    "ReplaySettings": "`taskbell replay`",
    "DeadLetterSettings": "`taskbell deadletters`",
}
"""Titles of the classes; a new class appears under its own name until it has a title here."""

HEAD = """\
# Settings

<!-- Generated from the settings classes by `make docs`. -->

Settings are environment variables. A wrong value stops the process at start, with exit status 2 and one line for each
wrong variable. Durations are ISO 8601 (`PT30M`); sizes are in bytes unless the name tells otherwise; lists are
separated by commas. `taskbell up` gives its parts their addresses and keys, and passes every other variable on.

The standard variables of OpenTelemetry work too: `OTEL_EXPORTER_OTLP_ENDPOINT` (without it nothing is recorded),
`OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER_ARG`, `OTEL_SDK_DISABLED`.
"""


@dataclass(frozen=True)
class Setting:
    """One variable as the page shows it."""

    variable: str
    default: str | None
    bounds: str
    meaning: str


def classes() -> list[type[Settings]]:
    """All settings classes, those with a title first."""
    for path in sorted(ROOT.glob("*/taskbell/**/*.py")):
        if "Settings)" in path.read_text() and path.name != "conftest.py":
            words = path.relative_to(ROOT).with_suffix("").parts[1:]
            importlib.import_module(".".join(words))
    order = list(GROUPS)
    found = [kind for kind in _below(Settings) if kind.__module__.startswith("taskbell.")]
    return sorted(found, key=lambda kind: (order.index(kind.__name__) if kind.__name__ in order else 99, kind.__name__))


def _below(kind: type[Settings]) -> list[type[Settings]]:
    return [deeper for child in kind.__subclasses__() for deeper in (child, *_below(child))]


def settings_of(kind: type[Settings]) -> list[Setting]:
    """The variables that a class adds to those of its base class."""
    return [
        Setting(
            variable=PREFIX + name.upper(),
            default=None if field.is_required() else _shown(field.default),
            bounds=_bounds(field),
            meaning=" ".join((field.description or "").split()),
        )
        for name, field in kind.model_fields.items()
        if name in kind.__annotations__
    ]


def _bounds(field: FieldInfo) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    found = []
    for constraint in field.metadata:
        for name, sign in signs.items():
            value = getattr(constraint, name, None)
            if value is not None:
                found.append(f"{sign} {_shown(value)}")
    return ", ".join(found)


def _shown(value: Any) -> str:
    if value is PydanticUndefined or value is None:
        return ""
    if isinstance(value, timedelta):
        return _iso(value)
    if isinstance(value, tuple | list):
        return ",".join(map(_shown, value))
    return str(value)


def _iso(duration: timedelta) -> str:
    days, seconds = duration.days, duration.seconds + duration.microseconds / 1_000_000
    if not seconds:
        return f"P{days}D" if days else "PT0S"
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    parts = [f"{amount:g}{unit}" for amount, unit in ((hours, "H"), (minutes, "M"), (round(rest, 6), "S")) if amount]
    return f"P{f'{days}D' if days else ''}T{''.join(parts)}"


def text() -> str:
    """The page."""
    parts = [HEAD]
    for kind in classes():
        parts.append(f"\n## {GROUPS.get(kind.__name__, f'`{kind.__name__}`')}\n")
        parts.append("\n| Variable | Default | Bounds | Meaning |\n| --- | --- | --- | --- |\n")
        for setting in settings_of(kind):
            default = "*required*" if setting.default is None else f"`{setting.default}`" if setting.default else ""
            parts.append(f"| `{setting.variable}` | {default} | {setting.bounds} | {setting.meaning} |\n")
    parts.append("\n## [Client commands](commands.md)\n\n| Variable | Meaning |\n| --- | --- |\n")
    parts += [f"| `{name}` | {meaning} |\n" for name, meaning in VARIABLES.items()]
    return "".join(parts)
