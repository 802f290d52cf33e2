"""When a channel is left alone, and when it is used again."""

import pytest

from taskbell.delivery.breakers import Breakers
from taskbell.delivery.policy import Outcome

pytestmark = pytest.mark.feature("P19")

_WORKS = Outcome(delivered=True, status=200)
_PAUSE = Outcome(delivered=False, status=429, provider_pause=10.0)


def test_a_pause_opens_one_channel():
    """Until it ends nothing is sent by that channel; others are not concerned."""
    breakers = Breakers()
    assert breakers.most("fcm", now=0.0) is None
    breakers.end("fcm", _PAUSE, now=0.0)
    assert [breakers.most("fcm", now=now) for now in (0.0, 9.9, 10.0)] == [0, 0, 1]
    assert breakers.is_paused("fcm")
    assert breakers.most("apns", now=0.0) is None


def test_one_attempt_at_a_time_tries_it():
    """After the pause one attempt begins; its success closes the channel, its failure opens it again."""
    breakers = Breakers()
    breakers.end("fcm", _PAUSE, now=0.0)
    breakers.begin("fcm", now=10.0)
    assert breakers.most("fcm", now=11.0) == 0
    breakers.end("fcm", _PAUSE, now=11.0)
    assert [breakers.most("fcm", now=now) for now in (20.9, 21.0)] == [0, 1]
    breakers.begin("fcm", now=21.0)
    breakers.end("fcm", _WORKS, now=22.0)
    assert breakers.most("fcm", now=22.0) is None
    assert not breakers.is_paused("fcm")


def test_what_began_before_the_pause_does_not_end_it():
    """A success within the pause is of an older attempt; a shorter pause does not shorten it."""
    breakers = Breakers()
    breakers.end("fcm", _PAUSE, now=0.0)
    breakers.end("fcm", _WORKS, now=1.0)
    breakers.end("fcm", Outcome(delivered=False, provider_pause=1.0), now=2.0)
    assert [breakers.most("fcm", now=now) for now in (9.9, 10.0)] == [0, 1]


def test_what_began_within_the_pause_does_not_try_the_channel():
    """A claim may come back after another attempt has opened the channel: the channel is tried after its pause."""
    breakers = Breakers()
    breakers.end("fcm", _PAUSE, now=0.0)
    breakers.begin("fcm", now=0.1)
    breakers.end("fcm", _WORKS, now=0.2)
    assert [breakers.most("fcm", now=now) for now in (9.9, 10.0)] == [0, 1]


def test_an_attempt_that_was_broken_off_lets_another_one_try():
    """No outcome is no news."""
    breakers = Breakers()
    breakers.end("fcm", _PAUSE, now=0.0)
    breakers.begin("fcm", now=11.0)
    breakers.end("fcm", None, now=12.0)
    assert breakers.most("fcm", now=12.0) == 1


def test_a_refusal_of_one_delivery_closes_it():
    """A provider that refuses one alert works: the next ones are sent."""
    breakers = Breakers()
    breakers.end("fcm", _PAUSE, now=0.0)
    breakers.begin("fcm", now=11.0)
    breakers.end("fcm", Outcome(delivered=False, status=404, gone=True), now=12.0)
    assert breakers.most("fcm", now=12.0) is None
