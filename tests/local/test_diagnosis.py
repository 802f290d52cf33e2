from pathlib import Path

import pytest

from taskbell.local.diagnosis import Verdict, diagnose
from taskbell.local.settings import LocalSettings


async def test_a_folder_of_somebody_else_is_a_finding(tmp_path, monkeypatch):
    """A data directory that cannot be entered is told with what to do, like anything else that is wrong."""
    foreign = tmp_path / "foreign" / "data"

    def stat(path: Path, **_: object):
        if foreign.parent in path.parents:
            raise PermissionError(13, "Permission denied", str(path))
        return original(path)

    original = Path.stat
    monkeypatch.setattr(Path, "stat", stat)
    findings = await diagnose(LocalSettings(data_dir=foreign, api_port=0, gateway_port=0), {})
    (found,) = [finding for finding in findings if finding.name == "data directory"]
    assert found.verdict is Verdict.FAIL
    assert "cannot be entered" in found.detail
    assert found.remedy


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    monkeypatch.delenv("TASKBELL_DATA_DIR", raising=False)
