"""Devices, screens, credentials and the journal, without the wire."""

import stat

import pytest

from taskbell.testing.pushsim.credentials import Credentials, CredentialsMalformed
from taskbell.testing.pushsim.devices import Devices, Provider
from taskbell.testing.pushsim.journal import Journal, Push
from taskbell.testing.pushsim.printing import line
from taskbell.testing.pushsim.screen import Effect, Screen, Shown

pytestmark = pytest.mark.feature("K4")


@pytest.mark.parametrize("provider", Provider)
def test_a_simulator_that_starts_again_knows_its_devices(credentials, provider):
    """A token that was given out is known to another simulator with the same secret, and to no other."""
    environment = "sandbox" if provider is Provider.APNS else None
    before, after = Devices(credentials.device_secret), Devices(credentials.device_secret)
    before.url = after.url = "https://127.0.0.1:8443"
    device = before.new(provider, environment=environment)
    known = after.find(provider, device.token)
    assert (known.address, known.p256dh, known.auth) == (device.address, device.p256dh, device.auth)
    assert known.environment == environment
    assert after.find(provider, device.token) is known
    assert Devices("00" * 32).find(provider, device.token) is None
    changed = device.token[:-1] + ("0" if device.token[-1] != "0" else "1")
    assert after.find(provider, changed) is None


def test_credentials_are_kept_for_the_owner_alone(tmp_path):
    """A second start reads what the first one wrote; nobody else may read it; rubbish is refused."""
    made = Credentials.kept_in(tmp_path)
    assert Credentials.kept_in(tmp_path) == made
    assert stat.S_IMODE((tmp_path / "pushsim.json").stat().st_mode) == 0o600
    assert (tmp_path / "pushsim-ca.pem").read_text() == made.authority
    (tmp_path / "pushsim.json").write_text("{}")
    with pytest.raises(CredentialsMalformed):
        Credentials.kept_in(tmp_path)


def test_credentials_do_not_show():
    """No key is in the text of an object, which may end in a log."""
    made = Credentials.generate()
    assert made.device_secret not in repr(made)


def test_a_screen_is_bounded():
    """Of 1,500 alerts the last 1,000 are on the screen; of 150 for a device that is off the last 100 are kept."""
    screen = Screen()
    for number in range(1500):
        screen.receive(Effect(show=Shown(title=str(number), body="")), now=0)
    assert (len(screen.alerts), screen.alerts[0].title, screen.alerted) == (1000, "500", 1500)
    screen = Screen(off=True)
    for number in range(150):
        screen.receive(Effect(show=Shown(title=str(number), body=""), expires_at=10), now=0)
    screen.switch_on(now=1)
    assert (len(screen.alerts), screen.alerts[0].title) == (100, "50")


def test_a_journal_is_bounded_and_counts_all():
    """It keeps the last ones, and knows how many there were."""
    journal = Journal(keep=3)
    for _ in range(5):
        journal.accept(push(number=journal.next_number()))
    assert ([each.number for each in journal.pushes], journal.total) == ([3, 4, 5], 5)
    assert [[each.number for each in journal.after(number)] for number in (0, 3, 5, 9)] == [[3, 4, 5], [4, 5], [], []]
    assert [*Journal().after(3)] == []


def push(**more):
    """A push."""
    return Push(**{"number": 1, "at": 0.0, "provider": "fcm", "address": "abcdefghij", "message_id": "m"} | more)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"title": "Milk", "body": "due"}, "00:00:00 fcm     …efghij  Milk · due"),
        ({"title": "a\x1b[2Jb\n", "body": ""}, "00:00:00 fcm     …efghij  a [2Jb "),
        ({"title": "x" * 100}, "00:00:00 fcm     …efghij  " + "x" * 59 + "…"),
        ({"withdrawn": True, "notification_id": "n1"}, "00:00:00 fcm     …efghij  (takes back n1)"),
        ({"problem": "no key"}, "00:00:00 fcm     …efghij  (not shown: no key)"),
        ({}, "00:00:00 fcm     …efghij  (nothing to show)"),
    ],
)
def test_a_push_is_a_line_for_people(more, told):
    """The line tells when, by whom, where and what, without control characters, and not without end."""
    assert line(push(**more)) == told
