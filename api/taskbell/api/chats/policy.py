"""Which addresses are incoming webhooks of a chat. `delivery` checks at every attempt where they really lead."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from urllib.parse import urlsplit

from taskbell.api.deliveries.policy import url_fault

_HTTPS = 443
_SLACK = ("hooks.slack.com", "hooks.slack-gov.com")
_SLACK_PATH = "/services/"
"""Of incoming webhooks; the triggers of Slack's workflows take another message."""
_TEAMS = (".logic.azure.com", ".logic.azure.us", ".environment.api.powerplatform.com")
"""Workflows of Teams. The former connectors (`*.webhook.office.com`) are retired."""


class Chat(StrEnum):
    """A chat that takes alerts."""

    SLACK = "slack"
    TEAMS = "teams"


def chat_url_fault(url: str, *, chat: Chat, hosts: Collection[str], any_port: bool) -> str | None:
    """Why an address cannot be an incoming webhook of a chat, for people; None if it can. It never quotes the address.

    Args:
        url: The address.
        chat: Which chat.
        hosts: Further hosts that this installation permits, with any path.
        any_port: Whether ports other than 443 are permitted.
    """
    fault = url_fault(url, allow_http=False)
    if fault is not None:
        return fault
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if parts.port not in {None, _HTTPS} and not any_port:
        return "must have no port other than 443"
    if host in hosts:
        return None
    if chat is Chat.SLACK and not (host in _SLACK and parts.path.startswith(_SLACK_PATH)):
        return "must begin with https://hooks.slack.com/services/"
    if chat is Chat.TEAMS and not host.endswith(_TEAMS):
        return "must be the address of a workflow of Teams, at logic.azure.com or environment.api.powerplatform.com"
    return None
