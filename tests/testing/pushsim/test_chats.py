"""Slack and Teams: what is in order arrives, and each check refuses in the provider's words."""

import pytest

pytestmark = pytest.mark.feature("K4")

CARD = {"type": "AdaptiveCard", "version": "1.4", "body": [{"type": "TextBlock", "text": "T"}]}


def message(card=CARD, **more):
    """A message for Teams."""
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment], **more}


def section(text, kind="mrkdwn"):
    """A block of Slack."""
    return {"type": "section", "text": {"type": kind, "text": text}}


@pytest.mark.parametrize(
    "payload", [{"text": "T"}, {"text": "T", "blocks": [section("T")]}, {"blocks": [section("T", "plain_text")]}]
)
async def test_slack_says_ok(sim, client, payload):
    """A text, blocks, or both are `ok`, and the channel shows the text."""
    hook = sim.slack.hook()
    answer = await client.post(hook.address, json=payload)
    assert (answer.status_code, answer.text) == (200, "ok")
    assert [shown.body for shown in hook.screen.alerts] == [payload.get("text", "")]


async def test_slack_takes_a_form(client, sim):
    """The payload may be a field of a form."""
    hook = sim.slack.hook()
    answer = await client.post(hook.address, data={"payload": '{"text": "T"}'})
    assert (answer.text, sim.journal.pushes[0].body) == ("ok", "T")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "invalid_payload"),
        (b"[]", "invalid_payload"),
        (b"{", "invalid_payload"),
        (b'{"text": 7}', "invalid_payload"),
        (b"{}", "no_text"),
        (b'{"text": ""}', "no_text"),
        (b'{"text": "' + b"x" * 40_001 + b'"}', "msg_too_long"),
        (b'{"blocks": "x"}', "invalid_blocks"),
        (b'{"blocks": [{}]}', "invalid_blocks"),
        (b'{"blocks": [{"type": "section"}]}', "invalid_blocks"),
        (b'{"blocks": [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}]}', "invalid_blocks"),
        (b'{"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": ""}}]}', "invalid_blocks"),
    ],
)
async def test_slack_refuses_what_is_no_message(sim, client, content, word):
    """A malformed message is 400 with Slack's word."""
    fields = {"content-type": "application/json"}
    answer = await client.post(sim.slack.hook().address, content=content, headers=fields)
    assert (answer.status_code, answer.text) == (400, word)


async def test_slack_limits_blocks(sim, client):
    """51 blocks, and 3001 characters in a section, are refused."""
    for blocks in ([section("x")] * 51, [section("x" * 3001)]):
        answer = await client.post(sim.slack.hook().address, json={"text": "T", "blocks": blocks})
        assert (answer.status_code, answer.text) == (400, "invalid_blocks")


async def test_slack_knows_its_hooks(sim, client):
    """A hook that was removed, or never made, is 404; one of an archived channel is 410; GET is 405."""
    hook = sim.slack.hook()
    assert (await client.get(hook.address)).status_code == 405
    hook.archived = True
    answer = await client.post(hook.address, json={"text": "T"})
    assert (answer.status_code, answer.text) == (410, "channel_is_archived")
    sim.unregister(hook)
    for address in (hook.address, "/services/T0/B0/x"):
        answer = await client.post(address, json={"text": "T"})
        assert (answer.status_code, answer.text) == (404, "no_service")


async def test_teams_accepts_a_card(sim, client):
    """A card is 202 without a body, and the channel shows its texts."""
    hook = sim.teams.hook()
    rich = {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": "B"}, "!"]}
    answer = await client.post(hook.address, json=message({**CARD, "body": [*CARD["body"], rich]}))
    assert (answer.status_code, answer.content) == (202, b"")
    assert [shown.body for shown in hook.screen.alerts] == ["T · B!"]


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"text": "T"},
        {"type": "message", "attachments": []},
        {"type": "message", "attachments": [7]},
        {"type": "message", "attachments": [{"contentType": "text/plain", "content": CARD}]},
        message({**CARD, "type": "MessageCard"}),
        message({**CARD, "body": "T"}),
        message({"type": "AdaptiveCard", "body": []}),
        message(type="card"),
    ],
)
async def test_teams_refuses_what_is_no_card(sim, client, payload):
    """Another envelope or another card is 400."""
    answer = await client.post(sim.teams.hook().address, json=payload)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "TriggerInputSchemaMismatch")


async def test_teams_refuses_more_than_28_kb(sim, client):
    """A larger message is 413."""
    answer = await client.post(sim.teams.hook().address, json=message(text="x" * 28 * 1024))
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "RequestEntityTooLarge")


async def test_teams_knows_its_workflows(sim, client):
    """No signature and a wrong one are 401; a workflow that was deleted, and another path, are 404; GET is 405."""
    hook = sim.teams.hook()
    base = hook.address.partition("?")[0]
    wrong = {base: 401, base + "?sig=": 401, base + "?sig=" + "0" * 48: 401, "/workflows/x": 404}
    for address, status in wrong.items():
        assert (await client.post(address, json=message())).status_code == status
    assert (await client.get(hook.address)).status_code == 405
    sim.unregister(hook)
    answer = await client.post(hook.address, json=message())
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "WorkflowNotFound")
