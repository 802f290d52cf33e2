"""What providers get, and what people see on their devices."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskbell.delivery.alerts import Alert, Endpoint
from taskbell.delivery.providers import apns, fcm, webpush
from taskbell.delivery.providers.chat import escape, slack_message, teams_message
from taskbell.delivery.providers.encryption import MOST_PLAIN_BYTES
from taskbell.delivery.providers.texts import cut, words
from taskbell.delivery.providers.verdicts import Sending
from taskbell.kit.ids import new_id

pytestmark = pytest.mark.feature("T11")

DEVICES = ["fcm", "apns", "webpush"]
_ID = new_id()


def alert(**changed):
    """An alert."""
    given = {
        "notification_id": _ID,
        "kind": "assigned",
        "title": "Ann assigned you: Water the plants",
        "body": "All of them.",
        "workspace_id": new_id(),
        "task_id": None,
        "urgent": False,
        "created_at": "2026-11-22T08:00:00Z",
    }
    return Alert(**given | changed)


def sending(**changed):
    """An alert for some device."""
    endpoint = Endpoint(id=new_id(), kind="fcm", address="a:b")
    return Sending(id=new_id(), alert=alert(**changed), endpoint=endpoint, remaining=60.0)


@pytest.mark.parametrize("channel", DEVICES)
async def test_a_person_sees_the_notification_once(sim, providers, device_of, claim, channel):
    """A second attempt of the same alert replaces the first one on the screen."""
    device = device_of(channel)
    one = claim(device)
    assert (await providers[channel].send(one)).delivered
    assert (await providers[channel].send(one)).delivered
    (shown,) = device.screen.alerts
    assert (shown.title, shown.body) == ("Ann assigned you: Water the plants", "All of them.")
    assert all(push.problem is None for push in sim.journal.pushes)


@pytest.mark.parametrize("channel", DEVICES)
async def test_an_alert_that_was_read_disappears(sim, providers, device_of, claim, channel):
    """Reading the notification elsewhere takes the alert back, and shows nothing else."""
    device, notification = device_of(channel), str(new_id())
    await providers[channel].send(claim(device, id=notification))
    assert len(device.screen.alerts) == 1
    assert (await providers[channel].send(claim(device, id=notification, read=True))).delivered
    assert device.screen.alerts == []
    assert sim.journal.pushes[-1].withdrawn


@pytest.mark.feature("M69", "M70")
@pytest.mark.parametrize("channel", ["slack", "teams"])
async def test_a_chat_message_is_not_taken_back(sim, providers, device_of, claim, channel):
    """Nothing is sent for a notification that was read: the message stays as a record."""
    assert (await providers[channel].send(claim(device_of(channel), read=True))).delivered
    assert sim.journal.total == 0


@pytest.mark.parametrize("channel", DEVICES)
async def test_a_phone_that_was_off_gets_what_is_still_of_use(sim, providers, device_of, claim, channel):
    """An alert that is taken back before it was delivered is never shown; one that has expired is not kept."""
    device, notification = device_of(channel), str(new_id())
    device.screen.switch_off()
    await providers[channel].send(claim(device, remaining=0.0))
    await providers[channel].send(claim(device, id=notification))
    await providers[channel].send(claim(device, id=notification, read=True))
    device.screen.switch_on(now=sim.world.clock())
    assert device.screen.alerted == 0


@pytest.mark.feature("M69")
async def test_text_in_slack_is_never_markup(providers, device_of, claim, sim):
    """Nobody pings a channel or hides a link behind a text by the title of a task."""
    title = "<!channel> <https://evil.example|bank> <@U1> & *bold*"
    await providers["slack"].send(claim(device_of("slack"), title=title, body="<!here>", others=2))
    payload = sim.journal.pushes[-1].payload
    texts = [payload["text"], *(block["text"]["text"] for block in payload["blocks"])]
    assert not any("<" in text or ">" in text for text in texts)
    assert {block["text"]["type"] for block in payload["blocks"]} == {"plain_text"}
    assert texts[1] == "&lt;!channel&gt; &lt;https://evil.example|bank&gt; &lt;@U1&gt; &amp; *bold*"
    assert texts[2] == "&lt;!here&gt;\nand 2 more"


@pytest.mark.feature("M70")
async def test_text_in_teams_is_never_markup(providers, device_of, claim, sim):
    """Text runs know no markdown, so that a link is only a text."""
    await providers["teams"].send(claim(device_of("teams"), title="[bank](https://evil.example)", body="**b**"))
    card = sim.journal.pushes[-1].payload["attachments"][0]["content"]
    assert [(block["type"], block["inlines"][0]["type"]) for block in card["body"]] == [
        ("RichTextBlock", "TextRun"),
        ("RichTextBlock", "TextRun"),
    ]
    assert card["body"][0]["inlines"][0]["text"] == "[bank](https://evil.example)"


@pytest.mark.parametrize("channel", ["fcm", "apns", "webpush", "slack", "teams"])
async def test_the_longest_text_is_taken(sim, providers, device_of, claim, channel):
    """A text that is too long for a provider is cut, never refused."""
    device = device_of(channel)
    assert (await providers[channel].send(claim(device, title="😀<" * 127, body="&😀" * 20_000, others=999))).delivered
    assert (await providers[channel].send(claim(device, title='"' * 255, body="\x01\\" * 20_000))).delivered


async def test_an_alert_says_for_how_many_it_speaks(providers, device_of, claim):
    """After quiet hours one alert comes for all that waited."""
    device = device_of("fcm")
    await providers["fcm"].send(claim(device, others=3))
    assert device.screen.alerts[0].body == "All of them.\nand 3 more"
    assert words(alert(body="", others=1), most_body_bytes=100).body == "and 1 more"


async def test_what_apple_gets(sim, providers, device_of, claim):
    """The fields of a request to Apple: one id for all attempts, an absolute end, the collapse id."""
    one = claim(device_of("apns"), urgent=True)
    await providers["apns"].send(one)
    push = sim.journal.pushes[-1]
    assert push.headers["apns-id"] == str(one.id)
    assert push.headers["apns-collapse-id"] == push.notification_id
    assert push.headers["apns-priority"] == "10"
    assert abs(int(push.headers["apns-expiration"]) - push.at - 3600) < 30
    assert push.payload["aps"]["interruption-level"] == "time-sensitive"


async def test_what_a_browser_gets(sim, providers, device_of, claim):
    """The fields of a Web Push: TTL, a topic for the notification, urgency; and the message that it decrypts."""
    await providers["webpush"].send(claim(device_of("webpush"), urgent=True))
    push = sim.journal.pushes[-1]
    assert push.headers["ttl"] == "3600"
    assert push.headers["urgency"] == "high"
    assert len(push.headers["topic"]) == 22
    assert push.payload["type"] == "notification.created"
    assert push.payload["title"] == "Ann assigned you: Water the plants"


async def test_safari_gets_no_silent_message(sim, providers, claim):
    """Apple takes the permission away from pages that show nothing for a message; so none is sent."""
    import dataclasses

    device = sim.webpush.subscription()
    there = claim(device, read=True)
    endpoint = dataclasses.replace(there.endpoint, address="https://web.push.apple.com/Q1")
    assert (await providers["webpush"].send(dataclasses.replace(there, endpoint=endpoint))).delivered


_TEXT = st.text(max_size=3000) | st.text('&<>😀"\\\x00é', max_size=3000)


@given(_TEXT, _TEXT, st.integers(0, 10**6), st.booleans(), st.booleans())
def test_every_text_fits_every_provider(title, body, others, urgent, withdrawn):
    """Whatever users write is within the bytes that providers take."""
    import orjson

    one = sending(title=title, body=body, others=others, urgent=urgent, withdrawn=withdrawn, task_id=new_id())
    assert len(orjson.dumps(apns.payload(one))) <= apns.MOST_PAYLOAD_BYTES
    assert len(webpush.message(one)) <= MOST_PLAIN_BYTES
    message = fcm.message(one, now=0.0)["message"]
    parts = [*message["data"].items(), *message.get("notification", {}).items()]
    assert sum(len(f"{name}{value}".encode()) for name, value in parts) <= 4096
    slack = slack_message(one.alert)
    assert all(0 < len(block["text"]["text"]) <= 3000 for block in slack["blocks"])
    assert len(orjson.dumps(teams_message(one.alert))) <= 28 * 1024


@given(st.text(max_size=200), st.integers(3, 100))
def test_a_text_is_cut_between_characters(text, most):
    """The cut text has at most these bytes, and begins as the text does."""
    found = cut(text, most)
    assert len(found.encode()) <= most
    assert found == text or text.startswith(found.removesuffix("…").rstrip())


@given(st.text("&<>a;", max_size=5000))
def test_an_escaped_text_is_not_cut_within_an_escape(text):
    """No half of an escape is left, which would show something else."""
    found = escape(text)
    assert len(found) <= 3000
    for part in found.split("&")[1:]:
        assert part.startswith(("amp;", "lt;", "gt;"))
