"""Personal access tokens: their form tells the whole from the damaged, without asking anybody."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskbell.contract import personal_tokens
from taskbell.contract.scopes import MEANINGS, Scope, granted

_FORM = re.compile(r"tbp_[0-9A-Za-z]{49}")


def test_tokens_have_the_documented_form():
    """A thousand tokens match the pattern that a search for leaked secrets uses, are whole, and all differ."""
    made = {personal_tokens.make() for _ in range(1000)}
    assert len(made) == 1000
    assert all(_FORM.fullmatch(token) and personal_tokens.is_well_formed(token) for token in made)
    assert len({personal_tokens.digest(token) for token in made}) == 1000


def test_all_of_the_randomness_is_in_the_text(monkeypatch):
    """The least and the greatest 32 bytes fit and stay different from their neighbours: no bit is dropped."""
    written = set()
    for number in (0, 1, 2**256 - 2, 2**256 - 1):
        monkeypatch.setattr(personal_tokens.secrets, "token_bytes", lambda _, number=number: number.to_bytes(32, "big"))
        written.add(token := personal_tokens.make())
        assert personal_tokens.is_well_formed(token)
    assert len(written) == 4


@given(place=st.integers(0, personal_tokens.LENGTH - 1), other=st.characters())
def test_a_changed_character_is_noticed(place, other):
    """Whatever character stands in the place of another, the token is not whole any more."""
    token = personal_tokens.make()
    changed = token[:place] + other + token[place + 1 :]
    assert personal_tokens.is_well_formed(changed) is (changed == token)


@given(st.integers(0, personal_tokens.LENGTH - 1))
def test_a_cut_token_is_noticed(length):
    """No beginning and no end of a token is a token."""
    token = personal_tokens.make()
    assert not personal_tokens.is_well_formed(token[:length])
    assert not personal_tokens.is_well_formed(token[personal_tokens.LENGTH - length :])


@given(st.text(max_size=200))
def test_any_text_is_judged(text):
    """No text raises, and none that was not made is taken for a token."""
    assert not personal_tokens.is_well_formed(text)
    assert not personal_tokens.is_well_formed("tbp_" + text)


def test_writing_includes_reading():
    """A token that may write may read the same things, and nothing else; reading gives no writing."""
    assert granted(["tasks:write"]) == {"tasks:write", "tasks:read"}
    assert granted(["tasks:read", "events:read"]) == {"tasks:read", "events:read"}


@pytest.mark.parametrize("scope", list(Scope))
def test_every_scope_says_what_it_permits(scope):
    """A person who chooses scopes reads what each means, and what writing includes exists."""
    assert MEANINGS[scope]
    assert granted([scope]) <= {*Scope}
