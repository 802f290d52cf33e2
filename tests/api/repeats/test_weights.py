"""Kept answers cost room: a long one counts as more than a request."""

import pytest

from taskbell.api.rates.quota import Counts

_QUOTA = 20


@pytest.fixture
def overrides():
    """A quota that five long answers use up."""
    return {"rate_limit_per_minute": _QUOTA}


@pytest.fixture(autouse=True)
def middle_of_a_minute(app):
    """The clock of the limit stands still."""
    app.state.services.limiter.counts = Counts(quota=_QUOTA, clock=lambda: 6030.0)


def _left(answer):
    return int(answer.headers["ratelimit"].partition("r=")[2].partition(";")[0])


async def test_a_long_answer_weighs_more_and_without_room_nothing_is_done(ann, owner):
    """60 kB count as three requests more; past the quota it is a 429, and no task is made."""
    sent = {"title": "Long", "description": "x" * 20_000}
    heavy = {"title": "Heavy", "description": "\x01" * 10_000}  # six bytes each in JSON
    assert _left(await ann.send("a", json=sent)) == _QUOTA - 2
    assert _left(await ann.send("b", json=heavy)) == _QUOTA - 6
    assert _left(await ann.send("b", json=heavy)) == _QUOTA - 7, "a replay is one request"
    made = 2
    while (answer := await ann.send(f"c{made}", json=heavy)).status_code == 201:
        made += 1
    assert (answer.json()["code"], _left(answer)) == ("rate_limited", 1)
    assert await owner.fetchval("SELECT count(*) FROM tasks") == made == 5
