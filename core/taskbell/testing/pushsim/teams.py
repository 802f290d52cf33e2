"""Microsoft Teams' Workflows: `POST /workflows/{id}/triggers/manual/paths/invoke?…&sig=…` with an Adaptive Card.

Sources:
    https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using (the envelope,
    28 KB, 429 with four requests a second),
    https://learn.microsoft.com/azure/connectors/connectors-native-reqres (202, and the forms of errors),
    https://adaptivecards.io/explorer/AdaptiveCard.html (`type`, `version`, `body`).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from taskbell.testing.pushsim.devices import Device, Provider
from taskbell.testing.pushsim.journal import Push
from taskbell.testing.pushsim.provider import Accepted, Refusal, Refuse, World, json_answer, json_object
from taskbell.testing.pushsim.screen import Effect, Shown, app_effect
from taskbell.testing.pushsim.wire import Answer, Request

MAX_BODY = 28 * 1024
CARD = "application/vnd.microsoft.card.adaptive"
_PREFIX = "/workflows/"
_SUFFIX = "/triggers/manual/paths/invoke"

ERRORS: dict[str, tuple[int, str]] = {
    "TriggerInputSchemaMismatch": (400, "The input body for trigger 'manual' did not match its schema definition."),
    "AuthorizationFailed": (401, "The authentication credentials are not valid."),
    "DirectApiAuthorizationRequired": (401, "The request has no signature."),
    "WorkflowNotFound": (404, "The workflow could not be found."),
    "WorkflowTriggerIsNotEnabled": (400, "Could not execute workflow trigger 'manual' with state 'Disabled'."),
    "RequestEntityTooLarge": (413, "The message is larger than 28 KB."),
    "TooManyRequests": (429, "Rate limit is exceeded. Try again later."),
    "ServiceUnavailable": (503, "The service is unavailable."),
    "InternalServerError": (500, "Encountered internal server error."),
}
"""Codes of Workflows: HTTP status, message."""


def refusal(code: str, **headers: str) -> Refusal:
    """The answer of Workflows for one of its codes."""
    status, message = ERRORS[code]
    return Refusal(json_answer(status, {"error": {"code": code, "message": message}}, **headers), code)


class Teams:
    """Workflows, and the channels that they post to."""

    def __init__(self, world: World) -> None:
        """Take the world."""
        self._world = world

    def hook(self) -> Device:
        """Make a channel with a workflow that posts what it gets."""
        return self._world.devices.new(Provider.TEAMS)

    def address_of(self, request: Request) -> str | None:
        """The hook that a request names."""
        return self._world.devices.url + request.path

    def handle(self, request: Request) -> Accepted:
        """Judge a request: workflow, signature in the address, size, envelope, card."""
        if request.method != "POST":
            raise Refuse(Refusal(Answer(405, b"", {"allow": "POST"}), "405"))
        device = self._workflow(request)
        if len(request.body) > MAX_BODY:
            raise Refuse(refusal("RequestEntityTooLarge"))
        payload = json_object(request.body)
        card = None if payload is None else _card(payload)
        if payload is None or card is None:
            raise Refuse(refusal("TriggerInputSchemaMismatch"))
        number = self._world.journal.next_number()
        known = app_effect(payload)[1]
        words = " · ".join(_texts(card))
        push = Push(
            number=number,
            at=self._world.clock(),
            provider=Provider.TEAMS,
            address=device.address,
            message_id=str(number),
            notification_id=known,
            title="",
            body=words,
            payload=payload,
        )
        effect = Effect(show=Shown(title="", body=words, notification_id=known))
        return Accepted(push, device, effect, Answer(202, b"", {"x-ms-workflow-run-id": f"{number:032d}"}))

    def _workflow(self, request: Request) -> Device:
        path, _, query = request.path.partition("?")
        if not path.endswith(_SUFFIX):
            raise Refuse(refusal("WorkflowNotFound"))
        try:
            signature = parse_qs(query, max_num_fields=20).get("sig", [""])[0]
        except ValueError:
            signature = ""
        if not signature:
            raise Refuse(refusal("DirectApiAuthorizationRequired"))
        workflow = path.removeprefix(_PREFIX).removesuffix(_SUFFIX)
        device = self._world.devices.find(Provider.TEAMS, f"{workflow}.{signature}")
        if device is None:
            raise Refuse(refusal("AuthorizationFailed"))
        if device.gone_at is not None and device.gone_at <= self._world.clock():
            raise Refuse(refusal("WorkflowNotFound"))
        return device


def _card(payload: dict[str, Any]) -> dict[str, Any] | None:
    """The Adaptive Card of a message; None where the envelope or the card is another thing."""
    attachments = payload.get("attachments")
    if payload.get("type") != "message" or not isinstance(attachments, list) or len(attachments) != 1:
        return None
    first = attachments[0]
    card = first.get("content") if isinstance(first, dict) and first.get("contentType") == CARD else None
    if not isinstance(card, dict) or card.get("type") != "AdaptiveCard" or not isinstance(card.get("body"), list):
        return None
    return card if isinstance(card.get("version"), str) else None


def _texts(card: dict[str, Any]) -> list[str]:
    """The texts of a card's own text blocks and rich text blocks."""
    found: list[str] = []
    for block in card["body"]:
        if not isinstance(block, dict):
            continue
        if block.get("type") == "TextBlock":
            found.append(str(block.get("text", "")))
        elif block.get("type") == "RichTextBlock" and isinstance(block.get("inlines"), list):
            runs = (run.get("text", "") if isinstance(run, dict) else run for run in block["inlines"])
            found.append("".join(str(text) for text in runs))
    return found
