"""Docstrings name modules that exist, and the project uses the words of its glossary."""

import ast
import re
from collections.abc import Iterator

_NOT_MODULES = {
    "taskbell.actor",  # a setting of PostgreSQL
    "taskbell.dev",  # the API group
    "taskbell.notify",  # an SQL function
    "taskbell.v1.json",  # the WebSocket subprotocol
}
_WORD = re.compile(r"`([a-z][a-z0-9_]*)`")
_GLOSSARY = "docs/reference/glossary.md"
_JOINT = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|_")
_DOTTED = re.compile(r"`([a-z]\w*(?:\.\w+)+)`")


def _docstrings(tree: ast.AST) -> Iterator[str]:
    """All strings that document something, also those below a field or a constant."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value


def test_package_docstrings_name_modules_that_exist(tracked, root, rooms):
    """A lower-case word in backticks is a module of the package, of one below or around it, or a room."""
    wrong, found = [], 0
    for path in tracked:
        if path.name != "__init__.py":
            continue
        around = {module.stem for folder in (path.parent, path.parent.parent) for module in folder.iterdir()}
        known = around | {module.stem for module in path.parent.rglob("*.py")} | {*rooms, "taskbell"}
        for word in _WORD.findall(ast.get_docstring(ast.parse(path.read_text())) or ""):
            found += 1
            if word not in known:
                wrong.append(f"{path.relative_to(root)}: {word}")
    assert wrong == []
    assert found > 20


def test_dotted_names_in_docstrings_exist(modules, rooms):
    """A dotted name in backticks that begins with `taskbell` or a room is a module, or a name that one defines."""
    sources = {str(module): module.path.read_text() for module in modules}

    def exists(name: str) -> bool:
        words = name.split(".")
        for length in range(len(words), 1, -1):
            prefix = ".".join(words[:length])
            if prefix in sources:
                return length == len(words) or re.search(rf"\b{words[length]}\b", sources[prefix]) is not None
            if any(module.startswith(prefix + ".") for module in sources):
                return length == len(words)
        return False

    wrong, found = [], 0
    for module in modules:
        for text in _docstrings(module.tree):
            for name in _DOTTED.findall(text):
                first = name.split(".")[0]
                if name in _NOT_MODULES or first not in {*rooms, "taskbell"}:
                    continue
                found += 1
                if not exists(name if first == "taskbell" else f"taskbell.{name}"):
                    wrong.append(f"{module}: {name}")
    assert wrong == []
    assert found > 5


def _forbidden(root):
    """Every word of the glossary's last column."""
    cells = re.findall(r"^\|[^|\n]*\|[^|\n]*\|([^|\n]*)\|$", (root / _GLOSSARY).read_text(), re.MULTILINE)
    return sorted({word.lower() for cell in cells for word in re.findall(r"`([^`]+)`", cell)})


def test_the_glossary_is_kept(tracked, root):
    """No file of the project contains a word that the glossary tells not to use, not even as part of a name."""
    words = _forbidden(root)
    assert len(words) > 15
    pattern = re.compile(r"\b(" + "|".join(map(re.escape, words)) + r")\b")
    found = []
    for path in tracked:
        if path == root / _GLOSSARY:
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            plain = _JOINT.sub(" ", line).lower()  # names consist of words too
            found += [f"{path.relative_to(root)}:{number}: {match}" for match in pattern.findall(plain)]
    assert found == []
