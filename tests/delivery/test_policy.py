"""What follows from an attempt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskbell.delivery.mail_server import Encryption, MailServer, MailServerMalformed
from taskbell.delivery.policy import Backoff, Outcome, Reason, State, decide, reason_of

_BACKOFF = Backoff(first=5.0, longest=7200.0)


@given(
    attempts=st.integers(1, 10_000),
    remaining=st.floats(0.001, 86_400),
    share=st.floats(0, 1, exclude_max=True),
    retry_after=st.none() | st.floats(0, 1e6),
)
def test_a_retry_is_jittered_and_never_after_the_end(attempts, remaining, share, retry_after):
    """Whatever the numbers, the pause is within its ceiling, as long as asked for, and ends by the time to give up."""
    outcome = Outcome(delivered=False, retry_after=retry_after)
    decision = decide(outcome, attempts=attempts, remaining=remaining, backoff=_BACKOFF, share=share)
    assert decision.state is State.RETRYING
    assert 0 <= decision.pause <= remaining
    if retry_after is None:
        assert decision.pause <= min(7200.0, 5.0 * 2 ** min(attempts - 1, 60))
    else:
        assert decision.pause >= min(retry_after, remaining)


def test_ends():
    """Yes, never and too late end a delivery, each in its state; an address that is gone ends its webhook instead."""

    def state(remaining=10.0, **outcome):
        return decide(Outcome(**outcome), attempts=1, remaining=remaining, backoff=_BACKOFF, share=0.5).state

    assert state(delivered=True) is State.DELIVERED
    assert state(delivered=True, remaining=-1.0) is State.DELIVERED
    assert state(delivered=False, permanent=True) is State.DEAD
    assert state(delivered=False, gone=True) is State.RETRYING
    assert state(delivered=False, remaining=0.0) is State.DEAD


def test_a_day_holds_some_twenty_attempts():
    """With the defaults a receiver that is down for a day is asked often at first and then every hour or so."""
    elapsed, attempts = 0.0, 1
    while elapsed < 86_400:
        elapsed += _BACKOFF.pause(attempts=attempts, share=0.5)
        attempts += 1
    assert 20 <= attempts <= 60


def test_mail_servers():
    """Scheme, default ports, percent-encoded user and password."""
    host = MailServer.parse("smtps://me%40x:p%2Fw@mail.example")
    assert (host.encryption, host.host, host.port) == (Encryption.TLS, "mail.example", 465)
    assert (host.username, host.password) == ("me@x", "p/w")
    assert MailServer.parse("smtp://127.0.0.1:2525").port == 2525
    assert MailServer.parse("smtp+starttls://mail.example").port == 587


@given(st.text(max_size=40) | st.builds("smtp://{}".format, st.text(max_size=20)))
def test_a_malformed_mail_server_is_refused(text):
    """Nothing else raises, and what passes names a host."""
    try:
        found = MailServer.parse(text)
    except MailServerMalformed:
        return
    assert found.host


def test_a_password_is_not_shown():
    """The refusal of a malformed URL does not repeat what may hold a password."""
    with pytest.raises(MailServerMalformed) as refused:
        MailServer.parse("smtp://me:hunter2@host:port")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("url", ["http://mail.example", "smtp://", "smtp://host/path", "smtp://host:port", "mail"])
def test_malformed_mail_servers(url):
    """Each is refused."""
    with pytest.raises(MailServerMalformed):
        MailServer.parse(url)


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (Outcome(delivered=False, status=403, error="refused", permanent=True), Reason.REFUSED),
        (Outcome(delivered=False, error="the endpoint was removed", permanent=True), Reason.UNSENDABLE),
        (Outcome(delivered=False, status=503, error="down"), Reason.EXPIRED),
        (Outcome(delivered=False, status=410, error="gone", gone=True, permanent=True), Reason.GONE),
    ],
)
def test_a_dead_delivery_has_a_reason(outcome, reason):
    """What a provider refuses, what time ended, what no longer exists and what nobody was asked for are told apart."""
    assert reason_of(outcome) is reason
