import ast
from pathlib import Path

import taskbell.operator

ROOM = Path(taskbell.operator.__file__).parent


def _imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.split(".")[0]


def test_only_watches_know_kopf_and_only_cluster_the_client():
    """Only `watches` imports Kopf, and only `cluster` imports the Kubernetes client."""
    users = {name: set() for name in ("kopf", "kubernetes")}
    for path in ROOM.rglob("*.py"):
        for name in users.keys() & {*_imports(path)}:
            users[name].add(path.name)
    assert users == {"kopf": {"watches.py"}, "kubernetes": {"cluster.py"}}
