"""Web Push: what is in order arrives and is decrypted, and each check refuses as the RFCs say."""

import json

import pytest
from joserfc.jwk import ECKey

from taskbell.testing.pushsim.credentials import base64url, from_base64url

pytestmark = pytest.mark.feature("T11", "K4")


async def test_a_message_in_order_arrives_decrypted(sim, sender):
    """The answer is 201 with the message's location; the journal has the plain text, the browser shows it."""
    browser = sim.webpush.subscription()
    answer = await sender.webpush(browser, topic="n1", urgency="high")
    assert answer.status_code == 201
    assert answer.headers["location"].startswith(sim.url)
    (push,) = sim.journal.pushes
    assert push.payload == {"notification_id": "n1", "title": "T", "body": "B"}
    assert (push.collapse_id, push.headers) == ("n1", {"ttl": "60", "topic": "n1", "urgency": "high"})
    assert [shown.title for shown in browser.screen.alerts] == ["T"]


@pytest.mark.parametrize(
    ("fields", "status", "errno"),
    [
        ({"authorization": ""}, 401, 109),
        ({"authorization": "Bearer x"}, 401, 109),
        ({"authorization": "vapid t=x"}, 403, 109),
        ({"authorization": "vapid t=a.b.c, k=x"}, 403, 109),
        ({"ttl": None}, 400, 111),
        ({"ttl": "-1"}, 400, 112),
        ({"ttl": "1.5"}, 400, 112),
        ({"topic": "x" * 33}, 400, 113),
        ({"topic": "a b"}, 400, 113),
        ({"urgency": "urgent"}, 400, 114),
        ({"content-encoding": "aesgcm"}, 400, 110),
        ({"content-encoding": None}, 400, 110),
        ({"body": b"x" * 4097}, 413, 104),
        ({"path": "/wpush/v2/unknown"}, 404, 102),
        ({"path": "/wpush/v2/" + "0" * 32 + "." + "0" * 48}, 404, 102),
    ],
)
async def test_each_check_refuses(sim, sender, fields, status, errno):
    """A wrong header, size or endpoint has its status, and nothing is accepted."""
    answer = await sender.webpush(sim.webpush.subscription(), **fields)
    assert (answer.status_code, answer.json()["errno"]) == (status, errno)
    assert sim.journal.total == 0


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://push.example.com"},
        {"aud": None},
        {"exp": 1},
        {"exp": 4_000_000_000},
        {"exp": "tomorrow"},
    ],
)
async def test_a_vapid_token_with_a_wrong_claim_is_403(sim, sender, claims):
    """The audience is the origin, and the token lives at most 24 hours."""
    answer = await sender.webpush(sim.webpush.subscription(), authorization=sender.vapid(**claims))
    assert answer.status_code == 403


async def test_another_key_is_403(sim, sender):
    """The key is the one that the browser subscribed with, and it signed the token."""
    other = ECKey.generate_key("P-256")
    raw = other.as_dict(private=False)
    point = base64url(b"\4" + from_base64url(raw["x"]) + from_base64url(raw["y"]))
    browser = sim.webpush.subscription()
    for authorization in (sender.vapid(key=other), sender.vapid(key=other, public=point)):
        assert (await sender.webpush(browser, authorization=authorization)).status_code == 403


async def test_a_vapid_token_that_was_verified_still_expires(sim, sender, clock):
    """A remembered token is refused when its time is over."""
    browser, authorization = sim.webpush.subscription(), sender.vapid()
    assert (await sender.webpush(browser, authorization=authorization)).status_code == 201
    clock.ahead += 3700
    assert (await sender.webpush(browser, authorization=authorization)).status_code == 403


async def test_a_subscription_that_is_gone_is_410(sim, sender):
    """After its end a subscription answers 410."""
    browser = sim.webpush.subscription()
    sim.unregister(browser)
    assert (await sender.webpush(browser)).status_code == 410


async def test_what_the_browser_cannot_decrypt_is_accepted_and_not_shown(sim, sender):
    """The service cannot read a message, so it takes one for another browser; this browser drops it."""
    browser, other = sim.webpush.subscription(), sim.webpush.subscription()
    await sender.webpush(other, topic="n1")
    for body in (b"x", b"x" * 200, bytes(200)):
        assert (await sender.webpush(browser, body=body)).status_code == 201
    assert (await sender.webpush(other, path=browser.address)).status_code == 201
    assert [push.problem is None for push in sim.journal.pushes] == [True, False, False, False, False]
    assert browser.screen.alerts == []


async def test_a_long_ttl_is_cut_and_the_answer_says_so(sim, sender):
    """A year becomes 30 days."""
    answer = await sender.webpush(sim.webpush.subscription(), ttl="31536000")
    assert answer.headers["ttl"] == "2592000"


async def test_padding_is_removed(sim, sender, encrypt):
    """RFC 8188's padding is no part of the message."""
    browser = sim.webpush.subscription()
    plain = json.dumps({"title": "T", "notification_id": "n1"}).encode()
    await sender.webpush(browser, body=encrypt(plain, browser, padding=bytes(100)))
    assert sim.journal.pushes[0].problem is None
    assert [shown.title for shown in browser.screen.alerts] == ["T"]


async def test_a_browser_that_is_off_gets_the_last_of_a_topic(sim, sender, clock):
    """Of one topic the last is kept while a browser is off; what has expired by then does not come."""
    browser = sim.webpush.subscription()
    browser.screen.switch_off()
    for number, topic, ttl in ((1, "a", "600"), (2, "a", "600"), (3, None, "600"), (4, None, "0"), (5, "b", "30")):
        plain = json.dumps({"title": str(number), "notification_id": f"n{number}"}).encode()
        await sender.webpush(browser, plain=plain, topic=topic, ttl=ttl)
    assert browser.screen.alerts == []
    clock.ahead += 60
    browser.screen.switch_on(now=clock())
    assert [shown.title for shown in browser.screen.alerts] == ["2", "3"]


async def test_a_withdrawal_removes_the_alert(sim, sender):
    """A message that withdraws a notification removes its alert, and is no alert itself."""
    browser = sim.webpush.subscription()
    await sender.webpush(browser)
    assert len(browser.screen.alerts) == 1
    await sender.webpush(browser, plain=b'{"notification_id":"n1","type":"notification.read"}')
    assert (browser.screen.alerts, browser.screen.alerted) == ([], 1)
