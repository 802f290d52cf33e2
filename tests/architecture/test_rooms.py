"""The namespace package: its portions in six source roots can be imported from anywhere and shadow nothing."""

import ast
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest


def _python(code, *, cwd):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


@pytest.mark.parametrize("place", ["/", ".", "operator", "core"])
def test_every_portion_imports_from_anywhere(root, rooms, place):
    """Each portion can be imported from `/`, from the repository, and from inside a source root."""
    code = "".join(f"import taskbell.{room}; print(taskbell.{room}.__file__);" for room in rooms)
    files = _python(code, cwd=root / place).splitlines()
    assert [Path(file) for file in files] == [
        root / source / "taskbell" / room / "__init__.py" for room, source in rooms.items()
    ]


@pytest.mark.parametrize("place", ["/", ".", "operator"])
def test_operator_is_the_standard_librarys(root, place):
    """Wherever Python starts, `import operator` imports the standard library's module."""
    code = "from importlib.machinery import PathFinder; print(PathFinder.find_spec('operator').origin)"
    assert Path(_python(code, cwd=root / place)).resolve().parent == Path(sysconfig.get_path("stdlib")).resolve()


def test_namespace_folders_hold_no_init(root, rooms):
    """No `__init__.py` is next to the portions: it would hide the portions of the other roots."""
    for source in {*rooms.values()}:
        assert not (root / source / "__init__.py").exists()
        assert not (root / source / "taskbell" / "__init__.py").exists()
    assert {path.parent.parent.name for path in (root / "tests").rglob("__init__.py")} <= {"shared"}


def test_every_package_says_what_it_is_for(modules):
    """Each portion and each folder in it has an `__init__.py` with a docstring, and no code in it."""
    packages = {module.path.parent for module in modules if "migrations" not in module.words}
    for package in packages:
        init = package / "__init__.py"
        assert init.is_file(), f"{package} has no __init__.py"
        tree = ast.parse(init.read_text())
        assert ast.get_docstring(tree), f"{init} does not say what the room is for"
        logic = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.For | ast.With)]
        assert logic == [], f"{init} holds logic"


@pytest.fixture(scope="module")
def wheel(root, tmp_path_factory):
    """The names in the wheel, built offline with the locked packages."""
    target = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)]
    run = subprocess.run(build, cwd=root, capture_output=True, text=True, check=False, timeout=120)
    assert run.returncode == 0, run.stderr
    (file,) = target.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_all_portions_and_no_namespace_init(wheel, rooms):
    """The wheel contains the same namespace package: every portion, and nothing above them."""
    assert {f"taskbell/{room}/__init__.py" for room in rooms} <= wheel
    assert "taskbell/__init__.py" not in wheel
    assert {name.split("/")[0] for name in wheel if ".dist-info/" not in name} == {"taskbell"}


def test_the_wheel_holds_what_the_code_reads(wheel, modules, root, rooms):
    """The wheel contains every source file, also migrations, queries and type markers."""
    for source in {*rooms.values()}:
        for file in (root / source / "taskbell").rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                assert str(file.relative_to(root / source)) in wheel
