from datetime import timedelta

import pytest
from pydantic import Field, ValidationError

from taskbell.kit.settings import Settings, load


class _Example(Settings):
    """Settings of nothing."""

    database_url: str
    """Where the data is."""
    workers: int = Field(default=2, ge=1, le=64)
    """How many."""


@pytest.mark.feature("M23")
def test_settings_come_from_the_environment(monkeypatch):
    """A variable with the prefix sets the field; one without is nobody's business."""
    monkeypatch.setenv("TASKBELL_DATABASE_URL", "postgresql://here")
    monkeypatch.setenv("TASKBELL_WORKERS", "7")
    monkeypatch.setenv("WORKERS", "9")
    settings = load(_Example)
    assert (settings.database_url, settings.workers) == ("postgresql://here", 7)


def test_wrong_settings_stop_the_process_with_a_line_each(monkeypatch, capsys):
    """Each wrong variable is one line that names it, never its value; the exit status is 2."""
    monkeypatch.delenv("TASKBELL_DATABASE_URL", raising=False)
    monkeypatch.setenv("TASKBELL_WORKERS", "hunter2")
    with pytest.raises(SystemExit) as stopped:
        load(_Example)
    assert stopped.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("taskbell: TASKBELL_DATABASE_URL: ")
    assert lines[1].startswith("taskbell: TASKBELL_WORKERS: ")
    assert "hunter2" not in "".join(lines)


def test_settings_do_not_change_at_run_time():
    """A setting is read once and stays."""
    settings = load(_Example, database_url="postgresql://here")
    with pytest.raises(ValidationError, match="frozen"):
        settings.workers = 3


def test_a_settings_docstring_is_its_description():
    """The text below a field is what the generated reference shows."""
    assert _Example.model_fields["workers"].description == "How many."


def test_a_wrong_entry_of_a_list_names_the_variable_and_the_entry(monkeypatch, capsys):
    """The variable is named as a person set it, with the place in its list, and how spans of time are written."""
    monkeypatch.setenv("TASKBELL_LEADS", '["PT1H", "1h"]')

    class Leads(Settings):
        """Settings with a list."""

        leads: tuple[timedelta, ...] = ()
        """Spans of time."""

    with pytest.raises(SystemExit):
        load(Leads)
    said = capsys.readouterr().err
    assert said.startswith("taskbell: TASKBELL_LEADS (entry 2): ")
    assert "PT1H" in said
