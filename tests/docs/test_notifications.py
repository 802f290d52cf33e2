"""The page about notifications says what the contract says."""

import re
from pathlib import Path

import pytest

from taskbell.contract.notices import RULES, Kind, Relation

pytestmark = pytest.mark.feature("T11", "T15")

_PAGE = Path(__file__).parents[2] / "docs" / "reference" / "notifications.md"
_WORDS = {
    Relation.CREATOR: "creator",
    Relation.ASSIGNEE: "assignees",
    Relation.NEW_ASSIGNEE: "new assignees",
    Relation.RESPONSIBLE: "responsible users",
    Relation.WATCHER: "watchers",
    Relation.COMMENTER: "earlier commenters",
    Relation.MENTIONED: "mentioned users",
}


def _rows():
    """The cells of each kind's row."""
    for line in _PAGE.read_text().splitlines():
        if found := re.match(r"\| `(\w+)` \| (.+) \| (.*) \| (.*) \| (.*) \|$", line):
            yield found[1], found.groups()[1:]


def test_every_kind_is_in_the_table():
    """The kinds of the table are those of the contract, in its order."""
    assert [kind for kind, _ in _rows()] == [*Kind]


@pytest.mark.parametrize("kind", RULES)
def test_a_row_says_what_the_rule_says(kind):
    """Who hears of it, whether it passes a mute and when it is urgent are those of the rule."""
    _, heard_by, passes_mute, urgent = dict(_rows())[kind]
    rule = RULES[kind]
    assert set(heard_by.split(", ")) == {_WORDS[relation] for relation in rule.heard_by}
    assert passes_mute == ("yes" if rule.passes_mute else "no")
    wanted = "priority 1" if rule.urgent_for_first else "if asked for" if kind is Kind.REMINDER else "no"
    assert urgent == wanted
