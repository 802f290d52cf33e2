"""What the architecture tests look at: the source as text and syntax, never imported."""

import ast
import dataclasses
import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = {
    "api": "api",
    "capacity": "loadtests",
    "client": "core",
    "contract": "core",
    "delivery": "notifier",
    "gateway": "notifier",
    "kit": "core",
    "local": "local",
    "operator": "operator",
    "relay": "api",
    "start": "core",
    "store": "api",
    "sweeper": "api",
    "terminal": "local",
    "testing": "core",
}
"""Every portion of the namespace package and its source root."""


@dataclasses.dataclass(frozen=True)
class Module:
    """One module of the source."""

    path: Path
    name: str

    def __str__(self):
        return self.name

    @property
    def words(self) -> list[str]:
        """The parts of its name below `taskbell`."""
        return self.name.split(".")[1:]

    @functools.cached_property
    def tree(self) -> ast.Module:
        """Its syntax."""
        return ast.parse(self.path.read_text())

    def imports(self) -> Iterator[str]:
        """Full names of the modules it imports anywhere, except those only for type checking."""
        ignored = {
            id(node)
            for block in ast.walk(self.tree)
            if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test)
            for node in ast.walk(block)
        }
        for node in ast.walk(self.tree):
            if id(node) in ignored:
                continue
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.name} imports relatively"
                yield node.module

    def tops(self) -> set[str]:
        """The packages it depends on. Parsing an address is not I/O."""
        return {name.split(".")[0] for name in self.imports() if not name.startswith("urllib.parse")}


def _modules() -> list[Module]:
    found = []
    for source_root in sorted(set(ROOMS.values())):
        for path in sorted((ROOT / source_root / "taskbell").rglob("*.py")):
            words = path.relative_to(ROOT / source_root).with_suffix("").parts
            found.append(Module(path, ".".join(words).removesuffix(".__init__")))
    return found


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def rooms() -> dict[str, str]:
    """Every portion and its source root."""
    return ROOMS


@pytest.fixture(scope="session")
def modules() -> list[Module]:
    """All modules."""
    return _modules()


@pytest.fixture(scope="session")
def tracked() -> list[Path]:
    """The files that git tracks; in a copy without git, those that are not generated."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]
    made = {".venv", ".taskbell", "build", "dist", ".git", "__pycache__"}
    return [path for path in ROOT.rglob("*") if path.is_file() and not made & set(path.relative_to(ROOT).parts)]
