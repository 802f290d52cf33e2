"""Secrets of a data directory: made once, kept, completed when a later version has more roles."""

from taskbell.local import credentials
from taskbell.local.data_dir import DataDir
from taskbell.store.roles import ROLES, SWEEPER


def test_data_of_an_earlier_version_gets_what_is_new(tmp_path):
    """A role that the file does not know gets a password, which stays; everything else is as it was."""
    data = DataDir(tmp_path)
    made = credentials.load_or_generate(data)
    former = {role: password for role, password in made.role_passwords.items() if role != SWEEPER}
    credentials.save(data, made.model_copy(update={"role_passwords": former, "second_factor_keys": ""}))
    completed = credentials.load_or_generate(data)
    assert set(completed.role_passwords) == set(ROLES)
    assert {role: completed.role_passwords[role] for role in former} == former
    new = {"role_passwords", "second_factor_keys"}
    assert completed.model_dump(exclude=new) == made.model_dump(exclude=new)
    assert completed.second_factor_keys
    assert credentials.load_or_generate(data) == completed
