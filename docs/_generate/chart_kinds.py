"""What the chart's values may be, as JSON Schema."""

from __future__ import annotations

from typing import Any

from docs._generate.settings import settings_of

from taskbell.contract.reminder_schedules import ReminderScheduleSpec
from taskbell.kit.settings import ProgramSettings, Settings

TEXT = {"type": "string"}
SOME_TEXT = {"type": "string", "minLength": 1}
OBJECT = {"type": "object"}
LABELS = {"type": "object", "additionalProperties": {"type": "string"}}
OBJECTS = {"type": "array", "items": {"type": "object"}}
NAMED = {"type": "array", "items": {"type": "object", "required": ["name"], "properties": {"name": TEXT}}}
PORTS = {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 65535}}
CIDRS = {"type": "array", "items": {"type": "string", "pattern": "^[0-9a-fA-F.:]+/[1-9][0-9]{0,2}$"}}
QUANTITY = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$"}
_AMOUNT = {
    "type": ["string", "number"], "minimum": 0,
    "pattern": r"^[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+|n|u|m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi|E|Ei)?$",
}  # fmt: skip
_AMOUNTS = {
    "type": "object",
    "propertyNames": {"pattern": r"^(cpu|memory|ephemeral-storage|hugepages-.+|.+\..+/.+)$"},
    "additionalProperties": _AMOUNT,
}
RESOURCES = {"type": "object", "additionalProperties": False,
             "properties": {"requests": _AMOUNTS, "limits": _AMOUNTS, "claims": OBJECTS}}  # fmt: skip
"""What a container requests and may use, as in a pod: a quantity is a text or a number."""
_SWEEPS = {"type": ["string", "number"], "minimum": 0, "pattern": r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi)?$"}
_SWEEP = {"type": "object", "additionalProperties": False,
          "properties": {"cpu": _SWEEPS, "memory": _SWEEPS, "ephemeral-storage": _SWEEPS}}  # fmt: skip
SWEEP_RESOURCES = {"type": "object", "additionalProperties": False,
                   "properties": {"requests": _SWEEP, "limits": _SWEEP}}  # fmt: skip
"""What the definition of ReminderSchedule takes of these."""
DURATION = {"type": "string", "pattern": r"^[0-9]+(ms|s|m|h)$"}
SCHEDULE = {"type": "string", "pattern": ReminderScheduleSpec.model_json_schema()["properties"]["schedule"]["pattern"]}
LEAD = {"type": "string", "minLength": 2, "maxLength": 20, "pattern": r"^([0-9]+h)?([0-9]+m)?([0-9]+s)?$"}
LABEL = {"type": "string", "pattern": r"^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$"}
_GIVEN = {
    "TASKBELL_DATABASE_URL",
    "TASKBELL_DATABASE_POOLER",
    "TASKBELL_DATABASE_REPLICA_URLS",
    "TASKBELL_NATS_URL",
    "TASKBELL_SIGNING_KEYS",
    "TASKBELL_OIDC_PROVIDERS",
    "TASKBELL_JWKS_URL",
    "TASKBELL_GATEWAY_DRAIN_TIMEOUT",
    "TASKBELL_GATEWAY_URL",
    "TASKBELL_TRUSTED_PROXIES",
    "TASKBELL_DELIVERY_DRAIN_TIMEOUT",
    "TASKBELL_SMTP_URL",
    "TASKBELL_OPERATOR_NAMESPACE",
    "TASKBELL_OPERATOR_WATCH_NAMESPACES",
    "TASKBELL_OPERATOR_IMAGE",
    "TASKBELL_OPERATOR_IMAGE_PULL_POLICY",
    "TASKBELL_OPERATOR_IMAGE_PULL_SECRETS",
    "TASKBELL_OPERATOR_JOB_SERVICE_ACCOUNT",
}
"""Settings that the chart sets itself."""


def number(least: int, most: int | None = None) -> dict[str, Any]:
    """A whole number within limits."""
    return {"type": "integer", "minimum": least} | ({} if most is None else {"maximum": most})


def one_of(*words: str) -> dict[str, Any]:
    """One of some words."""
    return {"type": "string", "enum": list(words)}


def settings(*kinds: type[Settings]) -> dict[str, Any]:
    """Settings of a program by their variables, without those that the chart sets."""
    plain = {"type": ["string", "integer", "number", "boolean"]}
    classes: tuple[type[Settings], ...] = (*kinds, ProgramSettings)
    names = (setting.variable for kind in classes for setting in settings_of(kind))
    known = {name: plain for name in names if name not in _GIVEN}
    return {"type": "object", "properties": known, "additionalProperties": False}


def secrets_of(*names: str) -> dict[str, Any]:
    """A Secret and its key for each of some names."""
    place = {
        "type": "object",
        "required": ["name", "key"],
        "additionalProperties": False,
        "properties": {"name": TEXT, "key": TEXT},
    }
    return {"type": "object", "additionalProperties": False, "properties": dict.fromkeys(names, place)}
