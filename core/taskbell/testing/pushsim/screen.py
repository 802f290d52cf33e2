"""What a person sees on a device: alerts that came, of which later ones replace earlier ones, and some go again."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_MOST_SHOWN = 1_000
_MOST_KEPT = 100
_READ = "notification.read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One alert on a screen.

    Attributes:
        title: Its title.
        body: Its text.
        notification_id: The notification in Taskbell that it is about, as far as the message tells.
    """

    title: str
    body: str
    notification_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a message does on the device that it reaches.

    Attributes:
        show: The alert that it shows; None: none.
        replaces: Alerts with the same key are one on the screen: the later replaces the earlier. None: it stays alone.
        removes: The key of the alert that it takes back; None: none.
        stored_as: While the device is off, the provider keeps the latest of the same name only. None: it keeps each.
        expires_at: Until when the provider keeps it for a device that is off, in Unix seconds.
    """

    show: Shown | None = None
    replaces: str | None = None
    removes: str | None = None
    stored_as: str | None = None
    expires_at: float = 0.0


@dataclass(slots=True)
class Screen:
    """The screen of one device."""

    shown: OrderedDict[str, Shown] = field(default_factory=OrderedDict)
    """What is on it now, the latest last; at most 1,000."""
    alerted: int = 0
    """How often the device drew attention: alerts that were shown, replaced ones included."""
    off: bool = False
    """Whether the device is switched off, or has no network."""
    kept: OrderedDict[str, Effect] = field(default_factory=OrderedDict)
    """What the provider keeps for it while it is off; at most 100, as FCM does."""
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def alerts(self) -> list[Shown]:
        """What is on it now, the latest last."""
        return [*self.shown.values()]

    def receive(self, effect: Effect, *, now: float) -> None:
        """Show, replace or remove; or keep it while the device is off."""
        if not self.off:
            self._apply(effect)
        elif effect.expires_at > now:
            name = effect.stored_as or f"#{next(self._numbers)}"
            self.kept.pop(name, None)
            self.kept[name] = effect
            if len(self.kept) > _MOST_KEPT:
                self.kept.popitem(last=False)

    def switch_off(self) -> None:
        """From now on the provider keeps what comes."""
        self.off = True

    def switch_on(self, *, now: float) -> None:
        """Bring what the provider kept and what has not expired."""
        self.off = False
        kept, self.kept = self.kept, OrderedDict()
        for effect in kept.values():
            if effect.expires_at > now:
                self._apply(effect)

    def _apply(self, effect: Effect) -> None:
        if effect.removes is not None:
            self.shown.pop(effect.removes, None)
        if effect.show is None:
            return
        key = effect.replaces or f"#{next(self._numbers)}"
        self.shown.pop(key, None)
        self.shown[key] = effect.show
        self.alerted += 1
        if len(self.shown) > _MOST_SHOWN:
            self.shown.popitem(last=False)


def app_effect(data: Mapping[str, Any]) -> tuple[Shown | None, str | None]:
    """What Taskbell's app does with the data of a message: the alert that it shows, and its key on the screen.

    The app shows `title` and `body`, one alert for each `notification_id`. Where the `type` is `notification.read`,
    there is nothing to show: it removes the alert of that notification.
    """
    key = data.get("notification_id")
    known = key if isinstance(key, str) and key else None
    title, body = data.get("title"), data.get("body")
    if takes_back(data) or (title is None and body is None):
        return None, known
    return Shown(title=str(title or ""), body=str(body or ""), notification_id=known), known


def takes_back(data: Mapping[str, Any]) -> bool:
    """Whether a message's data takes an alert back."""
    return data.get("type") == _READ and isinstance(data.get("notification_id"), str)
