import os
import stat

import pytest

from taskbell.local import credentials
from taskbell.local.data_dir import DataDir, StartRefused
from taskbell.start.private_files import write_private


def test_one_holder_at_a_time(tmp_path):
    """A second holder is refused with the process id of the first, and may follow when that is gone."""
    data = DataDir(tmp_path / "data")
    with data.locked():
        assert data.holder() == os.getpid()
        with pytest.raises(StartRefused, match=rf"process {os.getpid()}\) already runs"), DataDir(data.root).locked():
            pass
    assert data.holder() is None
    with data.locked():
        pass


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    """A file in place of the folder is reported and not touched."""
    (tmp_path / "data").write_text("mine")
    with pytest.raises(StartRefused, match="cannot be used"), DataDir(tmp_path / "data").locked():
        pass
    assert (tmp_path / "data").read_text() == "mine"


def test_a_private_file_is_the_owners_alone(tmp_path):
    """What holds secrets is never readable by others, also when it replaces a file that was."""
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", 0o600)
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def data(tmp_path):
    """A data directory without data."""
    made = DataDir(tmp_path)
    made.logs.mkdir()
    return made


def test_credentials_survive(data):
    """The second start has the secrets of the first."""
    first = credentials.load_or_generate(data)
    assert credentials.load_or_generate(data) == first
    assert stat.S_IMODE(data.secrets.stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "{}", "[1]", "\0", '{"superuser_password": 1}'])
def test_damaged_credentials_are_one_line_without_secrets(data, text):
    """A damaged file is reported with a remedy and not changed."""
    data.secrets.write_text(text)
    with pytest.raises(StartRefused, match=r"is damaged: restore the file.*nothing was changed") as told:
        credentials.load_or_generate(data)
    assert "\n" not in str(told.value)
    assert data.secrets.read_text() == text


def test_a_database_without_its_credentials_is_refused(data):
    """New secrets would lock the old database forever, so none are generated."""
    data.postgres.mkdir()
    with pytest.raises(StartRefused, match="cannot be read"):
        credentials.load_or_generate(data)
    assert not data.secrets.exists()


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o702])
def test_a_folder_that_everybody_may_write_to_is_refused_and_left_alone(tmp_path, mode):
    """Another user of the machine could replace the secrets in it, or the programs' data."""
    root = tmp_path / "data"
    root.mkdir()
    root.chmod(mode)
    with (
        pytest.raises(StartRefused, match=r"every user of this machine may write .* `chmod 700 "),
        DataDir(root).locked(),
    ):
        pass
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o775])
def test_a_folder_that_others_may_only_read_is_used(tmp_path, mode):
    """As most systems make folders; some give each user a group of its own, which may write."""
    root = tmp_path / "data"
    root.mkdir()
    root.chmod(mode)
    with DataDir(root).locked():
        assert (root / "up.lock").exists()
