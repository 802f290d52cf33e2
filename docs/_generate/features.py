"""`docs/reference/features.md`: every feature with the tests that prove it. `make features` prints the same."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "features.md"
_LINE = re.compile(r"^\| ([A-Z][0-9]+) \| ([^|]+?) \|(?:[^|\n]*\|)?$", re.MULTILINE)


def features() -> dict[str, str]:
    """The lines of the page by id. People write the id and the text; this module writes the status."""
    return dict(_LINE.findall(PAGE.read_text()))


def _marks_of(decorators: list[ast.expr]) -> Iterator[str]:
    """The ids that decorators name, including those of single parameters."""
    for node in (node for decorator in decorators for node in ast.walk(decorator)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("mark.feature"):
            yield from (ast.literal_eval(argument) for argument in node.args)


def marks() -> Iterator[tuple[str, str]]:
    """Every pair of a test (or a module of tests) and an id that it names."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        place = path.relative_to(ROOT)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                for mark in _marks_of(node.decorator_list):
                    yield f"{place}::{node.name}", mark
            elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
                found = node.value.elts if isinstance(node.value, ast.List | ast.Tuple) else [node.value]
                for mark in _marks_of(found):
                    yield str(place), mark


def unknown_marks() -> list[tuple[str, str]]:
    """Tests that name an id which the page does not have."""
    known = features()
    return [(place, mark) for place, mark in marks() if mark not in known]


def proofs() -> dict[str, list[str]]:
    """The tests that prove each line; a line without a test has an empty list."""
    found = defaultdict(list)
    for place, mark in marks():
        found[mark].append(place)
    return {identifier: found[identifier] for identifier in features()}


def text() -> str:
    """The page, with the present status of every line."""
    proven = proofs()

    def line(match: re.Match[str]) -> str:
        identifier, feature = match.groups()
        places = [f"`{place.removeprefix('tests/')}`" for place in proven[identifier]]
        return f"| {identifier} | {feature} | {'<br>'.join(places) or 'not yet'} |"

    return _LINE.sub(line, PAGE.read_text())


def main() -> None:
    """Print every line with its status."""
    proven = proofs()
    for identifier, feature in features().items():
        print(f"{'proven ' if proven[identifier] else 'not yet'}  {identifier:<4} {feature}")
        for place in proven[identifier]:
            print(f"              {place}")
    done = sum(bool(places) for places in proven.values())
    print(f"\n{done} of {len(proven)} lines have a test that names them; `make test` tells whether it passes.")


if __name__ == "__main__":
    main()
