"""The generated parts of the chart: values, schema and page, definitions and permissions."""

from __future__ import annotations

import hashlib
import json
import re
import textwrap
from pathlib import Path
from typing import Any

from docs._generate.chart_values import Value, everything

from taskbell.contract import crds
from taskbell.contract.nats_users import Program
from taskbell.contract.nats_users import permissions as permissions_of
from taskbell.operator.permissions import OWN, WATCHED, rules

CHART = Path(__file__).resolve().parents[2] / "charts" / "taskbell"
_DIGITS = 16
_HEAD = """\
# Chart

<!-- Generated from docs/_generate/chart_values.py by `make docs`. -->

Values of `charts/taskbell`. Unknown names and wrong types are refused by its schema, and combinations that cannot work
are refused with a message. Start with [how to install](../how-to/install.md).

| Value | Default | Meaning |
| --- | --- | --- |
"""


def text() -> str:
    """The page."""
    return _HEAD + "".join(
        f"| `{value.path}` | `{json.dumps(value.default)}` | {value.meaning} |\n" for value in everything()
    )


def values() -> str:
    """`values.yaml`: every value below its meaning. JSON is valid YAML, so values are written as JSON."""
    lines = [
        "# Generated from docs/_generate/chart_values.py by `make docs`; docs/reference/chart.md is the same as a page."
    ]
    open_path: list[str] = []
    for value in everything():
        *parents, name = value.path.split(".")
        shared = 0
        while shared < min(len(parents), len(open_path)) and parents[shared] == open_path[shared]:
            shared += 1
        if not shared:
            lines.append("")
        lines += ["  " * depth + parents[depth] + ":" for depth in range(shared, len(parents))]
        indent = "  " * len(parents)
        lines += textwrap.wrap(
            value.meaning, 118 - len(indent), initial_indent=indent + "# ", subsequent_indent=indent + "# "
        )
        lines.append(f"{indent}{name}: {json.dumps(value.default)}")
        open_path = parents
    return "\n".join(lines) + "\n"


def definition(named: crds.Definition) -> str:
    """A custom resource definition for the chart's folder `crds`. JSON is valid YAML.

    Its annotations tell the chart's templates whether the definition in a cluster is this one, and which is newer.
    """
    manifest = crds.manifest(named)
    digest = hashlib.sha256(json.dumps(manifest["spec"], sort_keys=True).encode()).hexdigest()
    annotations = {
        f"{crds.GROUP}/digest": digest[:_DIGITS],
        f"{crds.GROUP}/version": _version(),
        "helm.sh/resource-policy": "keep",  # former charts had them among the templates: Helm must not remove them
    }
    metadata = {**manifest["metadata"], "annotations": annotations}
    return json.dumps({**manifest, "metadata": metadata}, indent=1) + "\n"


def _version() -> str:
    (found,) = re.findall(r"^version: (\S+)$", CHART.joinpath("Chart.yaml").read_text(), re.MULTILINE)
    return str(found)


def permissions() -> str:
    """The operator's permissions, as rules of a Role."""
    return json.dumps({"watched": rules(WATCHED), "own": rules(OWN)}, indent=1) + "\n"


def nats_users() -> str:
    """The permissions of the users of NATS, by program."""
    return json.dumps({program: permissions_of(program) for program in Program}, indent=1) + "\n"


def schema() -> str:
    """`values.schema.json`: closed, so that a misspelt value is refused instead of ignored."""
    root: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Values of the chart taskbell",
        "type": "object",
        "additionalProperties": False,
        "properties": {"global": {"type": "object"}},
    }
    for value in everything():
        _place(root, value)
    _require_all(root)
    return json.dumps(root, indent=2) + "\n"


def _place(root: dict[str, Any], value: Value) -> None:
    *parents, name = value.path.split(".")
    node = root
    for parent in parents:
        closed = {"type": "object", "additionalProperties": False, "properties": {}}
        node = node["properties"].setdefault(parent, closed)
    node["properties"][name] = {**value.schema, "description": value.meaning}


def _require_all(node: dict[str, Any]) -> None:
    """Require every value that has a default: a name without a value (`api:`) removes the default."""
    given = [name for name in node["properties"] if name != "global"]
    node["required"] = given
    for name in given:
        inner = node["properties"][name]
        if "properties" in inner and "description" not in inner:
            _require_all(inner)
