"""Slack and Teams: incoming webhooks of a chat channel, by an address from its user.

What users wrote never becomes markup: nobody can ping a channel, or hide a link behind a text. A chat message is not
taken back: an alert whose notification was read elsewhere counts as delivered, and nothing is sent.

Sources: "Sending messages using incoming webhooks" and "Formatting message text" of https://docs.slack.dev, and "Create
incoming webhooks with Workflows" and "RichTextBlock" of https://learn.microsoft.com (text runs know no markdown).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import orjson

from taskbell.delivery.alerts import Alert
from taskbell.delivery.policy import Outcome
from taskbell.delivery.providers.connection import Answer
from taskbell.delivery.providers.http2 import AddressMalformed, Client, read_address
from taskbell.delivery.providers.texts import words
from taskbell.delivery.providers.verdicts import Sending, Verdict, delivered, final, gone, later
from taskbell.delivery.retry_after import seconds_of

_MOST_BODY_BYTES: Final = 2500
_MOST_ESCAPED: Final = 3000
"""Most characters of a section of Slack."""
_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_PAUSE: Final = 60.0
_FIELDS: Final = [(b"content-type", b"application/json")]
_GONE: Final = frozenset(
    {"no_service", "no_service_id", "no_team", "no_active_hooks", "invalid_token", "channel_not_found"}
)
"""What Slack says when the webhook or its channel was removed, whatever the status."""
_KNOWN: Final = _GONE | {
    *("channel_is_archived", "action_prohibited", "posting_to_general_channel_denied", "team_disabled"),
    *("invalid_payload", "invalid_blocks", "no_text", "user_not_found", "rollup_error", "rate_limited"),
}


class Chat:
    """Sends to Slack or to Teams."""

    def __init__(
        self,
        client: Client,
        *,
        message: Callable[[Alert], dict[str, Any]],
        judge: Callable[[Answer, float], Verdict],
        any_port: bool,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take the client, what writes a message and judges its answer, and whether addresses may have a port."""
        self._client = client
        self._message = message
        self._judge = judge
        self._any_port = any_port
        self._clock = clock

    async def attempt(self, sending: Sending) -> Verdict:
        """Attempt once."""
        if sending.alert.withdrawn:
            return Verdict(Outcome(delivered=True))
        try:
            origin, path = read_address(sending.endpoint.address, any_port=self._any_port)
        except AddressMalformed as malformed:
            return Verdict(Outcome(delivered=False, error=str(malformed), permanent=True), "malformed")
        answer = await self._client.post(origin, path, _FIELDS, orjson.dumps(self._message(sending.alert)))
        return self._judge(answer, self._clock())


def slack_message(alert: Alert) -> dict[str, Any]:
    """Return a message for Slack: two plain texts, and the same in one for notifications, all of them escaped."""
    shown = words(alert, most_body_bytes=_MOST_BODY_BYTES)
    texts = [escaped for text in (shown.title, shown.body) if (escaped := escape(text))]
    return {
        "text": "\n".join(texts),
        "blocks": [{"type": "section", "text": {"type": "plain_text", "text": text, "emoji": False}} for text in texts],
    }


def escape(text: str) -> str:
    """Escape the three characters that mean something to Slack; what would be too long then is left out."""
    found = text.translate(_ESCAPES)
    if len(found) <= _MOST_ESCAPED:
        return found
    head = found[: _MOST_ESCAPED - 1]
    begun = head.rpartition("&")
    return (begun[0] if begun[1] and ";" not in begun[2] else head) + "…"


def teams_message(alert: Alert) -> dict[str, Any]:
    """Return a message for a workflow of Teams: an Adaptive Card of text runs."""
    shown = words(alert, most_body_bytes=_MOST_BODY_BYTES)
    runs = [{"type": "TextRun", "text": shown.title, "weight": "Bolder"}, {"type": "TextRun", "text": shown.body}]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": shown.title,
        "body": [{"type": "RichTextBlock", "inlines": [run]} for run in runs if run["text"]],
    }
    kind = "application/vnd.microsoft.card.adaptive"
    return {"type": "message", "attachments": [{"contentType": kind, "contentUrl": None, "content": card}]}


def judge_slack(answer: Answer, now: float) -> Verdict:
    """Judge an answer of Slack, whose body is one word.

    404 and 410 (`channel_is_archived`), and `invalid_token` with any status, mean that the webhook is gone. 403 says
    that posting is forbidden there, and 400 that the message is wrong: not tried again, nothing removed. 429: after
    `Retry-After`.
    """
    word = answer.body[:64].decode("ascii", "replace").strip()
    known = word if word in _KNOWN else None
    status = answer.status
    text = f"{status} {known}" if known else f"answered {status}"
    if 200 <= status < 300:
        return delivered(status)
    if status in {404, 410} or (known in _GONE and status in {400, 403}):
        return gone(status, text, known or "gone")
    return _rest(answer, text, known or "status", now)


def judge_teams(answer: Answer, now: float) -> Verdict:
    """Judge an answer of a workflow: 202 is the usual yes, 404 and 410 mean that the workflow was deleted.

    400, 401 and 403: it is switched off, or the address was changed; the user mends or removes it.
    """
    text = f"answered {answer.status}"
    if 200 <= answer.status < 300:
        return delivered(answer.status)
    if answer.status in {404, 410}:
        return gone(answer.status, text, "gone")
    return _rest(answer, text, "status", now)


def _rest(answer: Answer, text: str, reason: str, now: float) -> Verdict:
    after = seconds_of(answer.retry_after, now=now)
    if answer.status == 429:
        return later(429, text, "too_many", after=after or _PAUSE)
    if 400 <= answer.status < 500 and answer.status != 408:
        return final(answer.status, text, reason)
    return later(answer.status, text, reason, after=after)
