"""Slack's incoming webhooks: `POST /services/T…/B…/…` with `text` or `blocks`.

Sources:
    https://api.slack.com/messaging/webhooks (form, `ok`, errors),
    https://api.slack.com/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks (400, 403, 404, 410),
    https://api.slack.com/reference/block-kit/blocks (50 blocks; header 150, section 3000 characters),
    https://api.slack.com/docs/rate-limits (429 with `Retry-After`; one message a second for each hook).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from taskbell.testing.pushsim.devices import Device, Provider
from taskbell.testing.pushsim.journal import Push
from taskbell.testing.pushsim.provider import Accepted, Refusal, Refuse, World, json_object, text_answer
from taskbell.testing.pushsim.screen import Effect, Shown, app_effect
from taskbell.testing.pushsim.wire import Request

MAX_TEXT = 40_000
MAX_BLOCKS = 50
_PREFIX = "/services/"
_TEXTS = {"header": 150, "section": 3_000}

ERRORS: dict[str, int] = {
    **dict.fromkeys(("invalid_payload", "no_text", "invalid_blocks", "user_not_found", "msg_too_long"), 400),
    **dict.fromkeys(("action_prohibited", "invalid_token"), 403),
    **dict.fromkeys(("no_service", "no_team", "channel_not_found"), 404),
    "channel_is_archived": 410,
    "rate_limited": 429,
    "rollup_error": 500,
}
"""Slack's words and their statuses."""


def refusal(word: str, **headers: str) -> Refusal:
    """Slack's answer for one of its words."""
    return Refusal(text_answer(ERRORS[word], word, **headers), word)


class Slack:
    """Slack, and the channels behind its hooks."""

    def __init__(self, world: World) -> None:
        """Take the world."""
        self._world = world

    def hook(self) -> Device:
        """Make a channel with an incoming webhook."""
        return self._world.devices.new(Provider.SLACK)

    def address_of(self, request: Request) -> str | None:
        """The hook that a request names."""
        return self._world.devices.url + request.path

    def handle(self, request: Request) -> Accepted:
        """Judge a request: hook, payload, text, blocks."""
        if request.method != "POST":
            raise Refuse(Refusal(text_answer(405, "method_not_allowed"), "405"))
        device = self._world.devices.find(Provider.SLACK, request.path.removeprefix(_PREFIX))
        if device is None or (device.gone_at is not None and device.gone_at <= self._world.clock()):
            raise Refuse(refusal("no_service"))
        if device.archived:
            raise Refuse(refusal("channel_is_archived"))
        payload = _payload(request)
        text, blocks = payload.get("text"), payload.get("blocks")
        if text is not None and not isinstance(text, str):
            raise Refuse(refusal("invalid_payload"))
        if not text and not blocks and not payload.get("attachments"):
            raise Refuse(refusal("no_text"))
        if len(text or "") > MAX_TEXT:
            raise Refuse(refusal("msg_too_long"))
        if blocks is not None and not _are_blocks(blocks):
            raise Refuse(refusal("invalid_blocks"))
        number = self._world.journal.next_number()
        known = app_effect(payload)[1]
        shown = Shown(title="", body=text or "", notification_id=known)
        push = Push(
            number=number,
            at=self._world.clock(),
            provider=Provider.SLACK,
            address=device.address,
            message_id=str(number),
            notification_id=known,
            title="",
            body=text,
            payload=payload,
        )
        return Accepted(push, device, Effect(show=shown), text_answer(200, "ok"))


def _payload(request: Request) -> dict[str, Any]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = request.body
    if kind == "application/x-www-form-urlencoded":
        try:
            body = parse_qs(body.decode(), max_num_fields=20).get("payload", [""])[0].encode()
        except ValueError:
            raise Refuse(refusal("invalid_payload")) from None
    payload = json_object(body)
    if payload is None:
        raise Refuse(refusal("invalid_payload"))
    return payload


def _are_blocks(blocks: Any) -> bool:
    return isinstance(blocks, list) and len(blocks) <= MAX_BLOCKS and all(_is_block(block) for block in blocks)


def _is_block(block: Any) -> bool:
    if not isinstance(block, dict) or not isinstance(block.get("type"), str):
        return False
    text, longest = block.get("text"), _TEXTS.get(block["type"])
    if longest is None:
        return True
    if text is None:
        return block["type"] == "section" and bool(block.get("fields"))
    words = text.get("text") if isinstance(text, dict) else None
    kinds = {"plain_text"} if block["type"] == "header" else {"plain_text", "mrkdwn"}
    return isinstance(words, str) and 0 < len(words) <= longest and text.get("type") in kinds
