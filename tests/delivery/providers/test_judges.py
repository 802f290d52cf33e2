"""Whatever a provider answers becomes a verdict."""

import math

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskbell.delivery.alerts import Endpoint
from taskbell.delivery.providers import apns, fcm, webpush
from taskbell.delivery.providers.breaker import Breaker
from taskbell.delivery.providers.chat import judge_slack, judge_teams
from taskbell.delivery.providers.connection import Answer
from taskbell.kit.ids import new_id

pytestmark = pytest.mark.feature("T11", "T16")

_ENDPOINT = Endpoint(id=new_id(), kind="apns", address="x", registered_at=1e9)
JUDGES = {
    "fcm": lambda answer: fcm.judge(answer, now=2e9),
    "apns": lambda answer: apns.judge(answer, endpoint=_ENDPOINT, now=2e9),
    "webpush": lambda answer: webpush.judge(answer, now=2e9),
    "slack": lambda answer: judge_slack(answer, 2e9),
    "teams": lambda answer: judge_teams(answer, 2e9),
}
_NAMES = ["error", "status", "message", "details", "errorCode", "@type", "fieldViolations", "field", "violations"]
_WORDS = [*_NAMES, "reason", "timestamp", "name", "UNREGISTERED", "BadDeviceToken", "Unregistered", "INVALID_ARGUMENT"]
_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers(-(2**60), 2**60) | st.sampled_from(_WORDS) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(_WORDS) | st.text(), inner, max_size=4),
    max_leaves=12,
)
_BODIES = st.binary(max_size=200) | _JSON.map(orjson.dumps)
_ANSWERS = st.builds(
    Answer, st.integers(0, 999), st.none() | st.text(max_size=30) | st.sampled_from(["5", "-1", "9" * 40]), _BODIES
)


@pytest.mark.parametrize("channel", JUDGES)
@given(answer=_ANSWERS)
def test_whatever_a_provider_answers_becomes_a_verdict(channel, answer):
    """No answer raises; pauses are finite; only a success is a delivery; the metric's label is a word of ours."""
    verdict = JUDGES[channel](answer)
    outcome = verdict.outcome
    assert not outcome.delivered or 200 <= answer.status < 300
    assert not (outcome.delivered and (outcome.gone or outcome.permanent))
    assert outcome.delivered or outcome.error
    for pause in (outcome.retry_after, outcome.provider_pause):
        assert pause is None or (math.isfinite(pause) and 0 <= pause <= 86_400)
    assert verdict.reason.replace("_", "").isalnum()
    assert len(verdict.reason) < 40


@pytest.mark.parametrize("channel", JUDGES)
@given(status=st.integers(500, 599), body=_BODIES)
def test_an_outage_removes_nothing(channel, status, body):
    """No 5xx is a word about a device, whatever its body says."""
    outcome = JUDGES[channel](Answer(status, None, body)).outcome
    assert not outcome.gone
    assert not outcome.delivered


def test_the_breaker_pauses_longer_each_time():
    """Five failures open it; pauses double from two seconds to a minute; what began before a pause does not count."""
    now = [0.0]
    breaker = Breaker(clock=lambda: now[0])
    assert [breaker.failed() for _ in range(6)] == [None] * 4 + [2.0, 2.0]
    for wanted in (4.0, 8.0, 16.0, 32.0, 60.0, 60.0):
        now[0] += 100
        assert breaker.failed() == wanted
    now[0] += 59
    assert breaker.failed() == 1.0
    breaker.worked()
    now[0] += 100
    assert breaker.failed() is None
