"""The page on security agrees with the code."""

import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_ROW = re.compile(r"^\| (?P<cells>.+) \|$", re.MULTILINE)
_TEST = re.compile(r"`(tests/[\w/.]+)`")


@pytest.mark.feature("H33")
def test_each_threat_names_tests_that_exist():
    """Each line of a table with the column `Proven by` names a test file or folder, and all of them exist."""
    tables = [
        table for table in re.split(r"\n\n", (_ROOT / "docs" / "security.md").read_text()) if "| Proven by |" in table
    ]
    rows = [row["cells"] for table in tables for row in _ROW.finditer(table)]
    threats = [row for row in rows if not row.startswith("Threat") and set(row) - set("-| ")]
    assert len(threats) > 30
    assert [row for row in threats if not _TEST.search(row.rpartition(" | ")[2])] == []
    named = {name for row in threats for name in _TEST.findall(row)}
    assert [name for name in sorted(named) if not (_ROOT / name).exists()] == []
