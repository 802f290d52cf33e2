"""Rules of the source that no linter checks. Each test lists the places that break one."""

import ast
import re
import tomllib
from pathlib import Path

_VAGUE = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "base", "misc"}
_METRIC_KINDS = {"Counter", "Gauge", "Histogram", "Summary"}
_METRIC_NAME = re.compile(r"taskbell_(api|relay|gateway|delivery|operator|bus|role|kit)(_[a-z0-9]+)+")
_UNITS = ("_seconds", "_bytes", "_events", "_rows", "_ratio", "_frames")


def test_modules_are_short(modules):
    """No module has more than 400 lines: a longer one holds two things."""
    lengths = {str(module): len(module.path.read_text().splitlines()) for module in modules}
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_names_say_what_is_inside(modules):
    """No module or folder is called utils, helpers, common, manager or base."""
    assert [str(module) for module in modules if _VAGUE & {*module.words}] == []


def _ending(kind, name):
    if kind == "Counter":
        return name.endswith("_total")
    return name.endswith(_UNITS) if kind == "Histogram" else not name.endswith("_total")


def test_metrics_have_typed_names_and_a_meaning(modules):
    """A metric is named `taskbell_<room>_<thing>_<unit>`, has a description, and is in `metrics` (or in `kit`)."""
    found, wrong = 0, []
    for module in modules:
        kinds = {
            alias.name
            for node in ast.walk(module.tree)
            if isinstance(node, ast.ImportFrom) and node.module == "prometheus_client"
            for alias in node.names
        } & _METRIC_KINDS
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in kinds:
                name, meaning = (argument.value for argument in node.args[:2])
                found += 1
                placed = module.words[-1] == "metrics" or module.words[0] == "kit"
                if not (placed and _METRIC_NAME.fullmatch(name) and _ending(node.func.id, name) and " " in meaning):
                    wrong.append((str(module), name))
    assert wrong == []
    assert found > 20


def test_every_setting_is_documented(modules):
    """Each field of a settings class has a docstring."""
    undocumented, found = [], 0
    for module in modules:
        for node in ast.walk(module.tree):
            bases = {base.id for base in getattr(node, "bases", []) if isinstance(base, ast.Name)}
            if not isinstance(node, ast.ClassDef) or not any(base.endswith("Settings") for base in bases):
                continue
            for field, after in zip(node.body, [*node.body[1:], None], strict=True):
                if isinstance(field, ast.AnnAssign) and "ClassVar" not in ast.dump(field.annotation):
                    found += 1
                    if not (isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)):
                        undocumented.append(f"{module}.{node.name}.{field.target.id}")
    assert undocumented == []
    assert found > 20


_SUPPRESSIONS = {
    "# noqa": re.compile(r"# noqa: [A-Z]+[0-9]+(, ?[A-Z]+[0-9]+)* -- \S"),
    "# type: ignore": re.compile(r"# type: ignore\[[a-z-]+(, ?[a-z-]+)*\]\s+# \S"),
}


def test_suppressions_carry_their_reason(modules):
    """Every `noqa` and `type: ignore` names its rule and the reason."""
    found = [
        f"{module}:{number}"
        for module in modules
        for number, line in enumerate(module.path.read_text().splitlines(), 1)
        for mark, form in _SUPPRESSIONS.items()
        if mark in line and not form.search(line)
    ]
    assert found == []


_TELLTALES = (
    re.compile(r"--(extra-)?index-url[ =]"),
    re.compile(r"--find-links[ =]"),
    re.compile(r"https?://[^\s\"']*/simple\b"),
    re.compile(r"(?<![\w.])/(home|Users)/\w+"),
)


def test_nothing_tells_of_the_machine_it_was_made_on(tracked, root):
    """No tracked file holds a path of this machine or a package index's address."""
    here = {str(root), str(Path.home()) + "/"} - {"/", "//"}
    found = []
    for path in tracked:
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [
            f"{path.relative_to(root)}:{number}: {line.strip()[:80]}"
            for number, line in enumerate(text.splitlines(), 1)
            if any(place in line for place in here) or any(pattern.search(line) for pattern in _TELLTALES)
        ]
    assert found == []


def _locked(path):
    """Each locked package with its version, and its hashes; every one has both."""
    entries = re.split(r"\n(?=[A-Za-z0-9])", path.read_text().strip())
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z0-9,-]+\])?==\S+", entry), entry[:60]
        assert "--hash=sha256:" in entry, entry[:60]
    return {entry.split()[0]: set(re.findall(r"--hash=(\S+)", entry)) for entry in entries}


def test_the_lock_is_hashed(root):
    """Every locked package is pinned to one version and carries hashes."""
    assert len(_locked(root / "requirements.lock")) > 50


def test_what_running_installs_is_a_part_of_the_lock(root):
    """`make run` installs versions and hashes of the whole lock, and none of what only tests and checks need."""
    whole, running = _locked(root / "requirements.lock"), _locked(root / "requirements-run.lock")
    assert running.items() <= whole.items()
    names = {entry.partition("==")[0] for entry in running}
    assert {"asyncpg", "fastapi", "uv", "websockets"} <= names
    assert names.isdisjoint({"kopf", "locust", "matplotlib", "mypy", "pytest", "ruff"})


def test_every_test_says_what_it_proves(root):
    """Each test function has a docstring."""
    silent = [
        f"{path.relative_to(root)}::{node.name}"
        for path in (root / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert silent == []


def test_every_dependency_has_a_reason(root):
    """`pyproject.toml` and docs/reference/dependencies.md list the same packages."""
    project = tomllib.loads((root / "pyproject.toml").read_text())
    asked = [
        *project["project"]["dependencies"],
        *(need for extra in project["project"]["optional-dependencies"].values() for need in extra),
        *(need for group in project["dependency-groups"].values() for need in group if isinstance(need, str)),
    ]
    names = {re.match(r"[A-Za-z0-9._-]+", need)[0].lower() for need in asked} - {"taskbell"}
    page = (root / "docs" / "reference" / "dependencies.md").read_text()
    assert names == set(re.findall(r"^\| `([a-z0-9._-]+)` \|", page, re.MULTILINE))


def test_links_between_documents_lead_somewhere(tracked, root):
    """Every relative link in a document leads to a file."""
    broken = [
        f"{path.relative_to(root)}: {target}"
        for path in tracked
        if path.suffix == ".md"
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text())
        if "://" not in target and not (path.parent / target).exists()
    ]
    assert broken == []
