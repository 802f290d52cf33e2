"""The three short paths of docs/architecture.md lead through files that exist."""

import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_PAGE = (_ROOT / "docs" / "architecture.md").read_text()


@pytest.mark.parametrize(
    ("title", "most"),
    [
        ("From `POST /v1/tasks` to the row", 14),
        ("From the row to the frame", 16),
        ("From a backlog to the size of a pool", 14),
    ],
)
def test_a_path_is_short_and_passes_no_file_twice(title, most):
    """Each row of the table names a file of the project, no file comes twice, and there are no more than promised."""
    (section,) = re.findall(rf"^### {re.escape(title)}\n(.*?)^##", _PAGE, re.MULTILINE | re.DOTALL)
    files = re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)
    assert 5 < len(files) <= most
    assert len(set(files)) == len(files)
    assert [file for file in files if not (_ROOT / file).is_file()] == []
