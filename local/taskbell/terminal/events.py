"""Events and connections in words for a person."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from taskbell.client.connection import Frame
from taskbell.client.following import Ended
from taskbell.contract.frames import Resume, ServerFrame
from taskbell.terminal.text import plain

_PREVIOUS = "/previous/"


def describe(event: dict[str, Any]) -> str:
    """Describe an event in one line, on the clock of this machine."""
    data = event.get("data") or {}
    words = [_clock(event.get("time")), f"{event.get('type', '?'):<20}"]
    words.append(str(data.get("title") or event.get("subject", "")))
    if "previous" in data:
        changed = [f"{name}: {old!s} -> {data.get(name)!s}" for name, old in data["previous"].items()]
        long = [pointer.removeprefix(_PREVIOUS) for pointer in data.get("omitted", ()) if pointer.startswith(_PREVIOUS)]
        words.append(", ".join([*changed, *(f"{name}: changed" for name in long)]))
    return plain("  ".join(words))


def _clock(instant: str | None) -> str:
    return "" if instant is None else datetime.fromisoformat(instant).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def remark(found: Frame | Ended) -> str | None:
    """Tell a person what happened to the connection; None for frames that need no remark."""
    if isinstance(found, Ended):
        return plain(f"{found.reason}; again in {found.pause:.1f} s")
    fields = found.fields
    match found.kind:
        case ServerFrame.WELCOME:
            gap = " -- GAP: events were missed, fetch the state again" if fields["resume"] == Resume.GAP else ""
            return f"listening from {fields['cursor']} to {', '.join(fields['channels'])}{gap}"
        case ServerFrame.GOAWAY:
            return "the gateway asks us to reconnect"
        case ServerFrame.ERROR:
            about = f" ({fields['channel']})" if "channel" in fields else ""
            return plain(f"{fields['code']}{about}: {fields['message']}")
        case _:
            return None
