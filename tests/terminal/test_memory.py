"""What commands remember, with many commands at once and with a damaged file."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from taskbell.terminal.memory import Memory, Remembered, Shown


def test_tasks_that_are_shown_at_once_have_numbers_of_their_own(tmp_path):
    """Commands at the same moment never give one number to two tasks, and no task is forgotten."""

    def show(number):
        with Memory(tmp_path / "state" / "default.json").changed() as remembered:
            remembered.see(str(number))
            return remembered.number({"id": str(uuid4()), "version": 1})

    with ThreadPoolExecutor(8) as at_once:
        assert sorted(at_once.map(show, range(200))) == list(range(1, 201))
    found = Memory(tmp_path / "state" / "default.json").read()
    assert (len(found.shown), found.position) == (200, "199")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"position": "1"}', '{"position": "1", "shown": [["x"]]}'])
def test_a_damaged_file_is_as_good_as_none(tmp_path, text):
    """Numbers begin again; nothing else depends on it."""
    path = tmp_path / "default.json"
    path.write_text(text)
    assert Memory(path).read() == Remembered()
    with Memory(path).changed() as remembered:
        remembered.number({"id": "one", "version": 2})
    assert Memory(path).read() == Remembered(shown=[Shown("one", 2)])


def test_what_cannot_be_written_is_told(tmp_path, capsys):
    """The command has done what was asked for, so it goes on; the file is left as it is."""
    path = tmp_path / "default.json"
    path.mkdir()
    with Memory(path).changed() as remembered:
        assert remembered.number({"id": "one", "version": 2}) == 1
    assert "cannot be remembered" in capsys.readouterr().err
    Memory(path).forget()
    assert "cannot be deleted" in capsys.readouterr().err


def test_a_position_is_no_longer_than_one_of_postgresql():
    """What another server calls a position is neither kept nor calculated with."""
    remembered = Remembered()
    for position in ("9" * 5000, "x", ""):
        remembered.see(position)
    assert remembered.position == ""
    remembered.see("18446744073709551615")
    assert remembered.position == "18446744073709551615"
