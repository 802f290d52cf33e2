"""`.ci/setup.py` as a fresh machine meets it; what it would run is recorded instead."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest


@pytest.fixture
def setup(root, tmp_path, monkeypatch):
    """The script as a module, with a folder of its own and an installation that only notes what it is asked for."""
    spec = importlib.util.spec_from_file_location("taskbell_ci_setup", root / ".ci" / "setup.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    bin_ = tmp_path / ".venv" / "bin"
    for name, value in {
        "VENV": bin_.parent,
        "PYTHON": bin_ / "python",
        "UV": bin_ / "uv",
        "STAMP": bin_.parent / "taskbell-setup",
        "LOG": tmp_path / "setup.log",
    }.items():
        monkeypatch.setattr(module, name, value)

    class Environment:
        def __init__(self, **_):
            pass

        def create(self, folder):
            (folder / "bin").mkdir(parents=True, exist_ok=True)
            (folder / "bin" / "python").symlink_to(sys.executable)

    module.ran_for = []
    module.broken = set()

    def ran(*command, env=None):
        del env
        words = [str(word) for word in command]
        program = "uv" if words[0].endswith("uv") else "pip"
        if str(tmp_path / "uv.lock") in words:
            what = "uv"
            (bin_ / "uv").touch()
        else:
            what = Path(words[-1]).name
        module.ran_for.append((program, "taskbell" if what == root.name else what))
        return program not in module.broken

    monkeypatch.setattr(module.venv, "EnvBuilder", Environment)
    monkeypatch.setattr(module, "ran", ran)
    return module


def test_running_installs_its_part_and_tests_add_the_rest(setup):
    """The first start installs what running needs, with uv; the tools come on top, and nothing is installed twice."""
    setup.build(setup.wanted(everything=False))
    assert setup.ran_for == [("pip", "uv"), ("uv", "requirements-run.lock"), ("uv", "taskbell")]
    setup.ran_for.clear()
    setup.build(setup.wanted(everything=True))
    assert setup.ran_for == [("uv", "requirements.lock")]
    assert setup.wanted(everything=False).items() <= setup.found().items()


def test_where_uv_does_not_work_pip_installs_the_same(setup):
    """Each installation that uv fails at is done by pip."""
    setup.broken = {"uv"}
    setup.build(setup.wanted(everything=False))
    assert [what for program, what in setup.ran_for if program == "pip"] == ["uv", "requirements-run.lock", "taskbell"]


def test_after_a_failure_the_next_run_goes_on(setup, capsys):
    """A failure names the log; the next run keeps the environment and installs what is missing."""
    setup.broken = {"uv", "pip"}
    with pytest.raises(SystemExit, match="the whole log is in"):
        setup.build(setup.wanted(everything=False))
    setup.broken = set()
    setup.ran_for.clear()
    setup.build(setup.wanted(everything=False))
    assert setup.ran_for == [("uv", "requirements-run.lock"), ("uv", "taskbell")]
    assert "making .venv" in capsys.readouterr().out


def test_pip_s_own_settings_reach_uv(setup, tmp_path, monkeypatch):
    """Index, certificate and trusted hosts of pip's file and of `PIP_*` are handed on, the variable before the file."""
    setup.build(setup.wanted(everything=False))
    file = tmp_path / "pip.conf"
    file.write_text(
        "[global]\nindex-url = https://index.example/packages\ncert = /one.pem\n"
        "[install]\nextra-index-url =\n    https://a.example/packages\n    https://b.example/packages\n"
    )
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_", "SSL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    monkeypatch.setenv("PIP_CERT", "/other.pem")
    monkeypatch.setenv("PIP_TRUSTED_HOST", "a.example b.example")
    environment = setup.uv_environment()
    assert environment["UV_DEFAULT_INDEX"] == "https://index.example/packages"
    assert environment["UV_INDEX"] == "https://a.example/packages https://b.example/packages"
    assert environment["SSL_CERT_FILE"] == "/other.pem"
    assert environment["UV_INSECURE_HOST"] == "a.example b.example"
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://chosen.example/packages")
    assert setup.uv_environment()["UV_DEFAULT_INDEX"] == "https://chosen.example/packages"
