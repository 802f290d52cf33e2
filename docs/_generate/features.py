"""`make features`: the ledger of promises, and the tests that prove each line."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LEDGER = ROOT / "docs" / "reference" / "features.md"
_LINE = re.compile(r"^\| ([A-Z][0-9]+) \| (.+?) \|$", re.MULTILINE)


def promises() -> dict[str, str]:
    """The ledger: what each id promises."""
    return dict(_LINE.findall(LEDGER.read_text()))


def _marks_of(decorators: list[ast.expr]) -> Iterator[str]:
    """The ids that decorators name, those of single parameters included."""
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
    """Tests that name an id which the ledger does not have."""
    known = promises()
    return [(place, mark) for place, mark in marks() if mark not in known]


def main() -> None:
    """Print the ledger."""
    proofs = defaultdict(list)
    for place, mark in marks():
        proofs[mark].append(place)
    ledger = promises()
    for identifier, promise in ledger.items():
        print(f"{'done   ' if proofs[identifier] else 'not yet'}  {identifier:<4} {promise}")
        for place in proofs[identifier]:
            print(f"              {place}")
    done = sum(bool(proofs[identifier]) for identifier in ledger)
    print(f"\n{done} of {len(ledger)} promises have a test that names them; `make test` tells whether it passes.")


if __name__ == "__main__":
    main()
