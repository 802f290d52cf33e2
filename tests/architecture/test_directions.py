"""Import rules by module name; those between rooms are in `.importlinter`, which `make check` runs."""

import re
import sys

import pytest

_DATABASE = {"sqlalchemy", "alembic", "asyncpg", "psycopg"}
_WEB = {"fastapi", "starlette"}
_BUS = {"nats"}
_IO = {
    *_DATABASE,
    *_WEB,
    *_BUS,
    *("asyncio", "concurrent", "http", "httpx", "multiprocessing", "os", "select", "selectors", "shutil", "socket"),
    *("ssl", "structlog", "subprocess", "tempfile", "threading", "urllib", "uvicorn", "websockets"),
}
_PURE_LIBRARIES = {"orjson", "pydantic", "annotated_types"}
_WEB_MODULES = {"endpoints", "deps", "app", "lifespan", "problem"}


def _offenders(modules, forbidden, *, allowed):
    """Modules that import a package without being in `allowed`, with that package."""
    found = {str(module): module.tops() & forbidden for module in modules if not allowed(module)}
    return {name: imports for name, imports in found.items() if imports}


def _reaches_databases(module):
    return bool({"store", "db", "postgres", "repository"} & {*module.words})


@pytest.mark.feature("H29")
def test_databases_are_reached_through_repositories(modules):
    """`sqlalchemy` and `asyncpg` appear only in `store`, `kit.postgres`, `local.db` and each `repository`."""
    assert _offenders(modules, _DATABASE, allowed=_reaches_databases) == {}


def test_the_bus_is_reached_through_its_adapter(modules):
    """`nats` appears only in `taskbell.kit.nats_*`."""
    assert _offenders(modules, _BUS, allowed=lambda m: m.words[0] == "kit" and m.words[-1].startswith("nats_")) == {}


@pytest.mark.feature("H29")
def test_the_web_framework_stays_at_the_edge(modules):
    """`fastapi` appears only in endpoints, deps, app, lifespan, problem, and in the API's own HTTP room."""

    def allowed(module):
        return module.words[:2] == ["api", "http"] or module.words[-1] in _WEB_MODULES

    assert _offenders(modules, _WEB, allowed=allowed) == {}


@pytest.mark.feature("H29")
def test_decisions_are_pure(modules):
    """`policy` and `session` import no I/O, so plain values can test them."""

    def allowed(module):
        return not ({"policy", "session"} & {module.words[-1]} or {"specs", "plan"} & {*module.words})

    assert _offenders(modules, _IO, allowed=allowed) == {}


def test_the_contract_is_pure(modules):
    """`contract` imports the standard library without I/O, a few libraries of plain values, and itself."""
    contract = [module for module in modules if module.words[0] == "contract"]
    assert len(contract) > 5
    assert _offenders(contract, _IO, allowed=lambda _: False) == {}
    for module in contract:
        assert module.tops() <= {*sys.stdlib_module_names, *_PURE_LIBRARIES, "taskbell"}, module
        assert all(name.startswith("taskbell.contract") for name in module.imports() if name.startswith("taskbell."))


def test_the_load_tests_see_the_platform_from_outside(root):
    """`loadtests` imports `contract`, `client` and its own portion, and no code of the platform that it measures.

    `growth.py` runs no platform: it measures statements of `store` on a PostgreSQL that `local` starts.
    """
    files = [*(root / "loadtests").rglob("*.py")]
    assert len(files) > 20
    for path in files:
        imported = {*re.findall(r"^(?:from|import) taskbell\.(\w+)", path.read_text(), re.MULTILINE)}
        more = {"local", "store"} if path.name == "growth.py" else set()
        assert imported <= {"capacity", "contract", "client"} | more, path


def test_no_request_waits_for_a_receiver(modules):
    """The API imports no client for mail, webhooks or pushes: delivery sends them."""
    clients = {"aiohttp", "aiosmtplib", "http", "httpx", "requests", "smtplib", "urllib"}
    api = [module for module in modules if module.words[0] == "api"]
    assert _offenders(api, clients, allowed=lambda _: False) == {}


_LAYERS = ("errors", "policy", "models", "repository", "service", "endpoints")


def _against_the_layers(module, name):
    """Whether a module of a feature imports one that is not below it, or the repository of another feature."""
    feature, imported = module.words, name.split(".")[1:]
    if len(feature) != 3 or feature[-1] not in _LAYERS or len(imported) != 3 or imported[0] != "api":
        return False
    if imported[1] != feature[1]:
        return imported[-1] == "repository"
    return imported[-1] in _LAYERS and _LAYERS.index(imported[-1]) >= _LAYERS.index(feature[-1])


@pytest.mark.feature("H29")
def test_a_feature_is_layered(modules):
    """In a feature of the API: endpoints > service > repository > models, and no feature knows another's repository."""
    api = [module for module in modules if module.words[0] == "api"]
    assert [(str(m), name) for m in api for name in m.imports() if _against_the_layers(m, name)] == []
