"""The side of the simulator for other processes: JSON under `/control` on the same port, over HTTP/2 as all else.

GET    /control                     addresses, counts
GET    /control/settings            environment variables for Taskbell (without the CA's file)
GET    /control/ca                  the authority's certificate, PEM
GET    /control/pushes?after=N      accepted pushes after a number, at most 1,000: `provider`, `address` filter
DELETE /control/pushes              forget pushes, refusals and counts
GET    /control/refused             the latest 1,000 refusals
POST   /control/devices             make devices: {"provider", "count", "environment"}
GET    /control/screens?address=A   what the person sees
POST   /control/devices/change      {"address", "gone_at", "off", "archived"}
GET    /control/faults              the rules, and how often each is still to fire
POST   /control/faults              add one: the fields of `taskbell.testing.pushsim.faults.Fault`
DELETE /control/faults              from now on all is well
"""

from __future__ import annotations

import itertools
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from taskbell.testing.pushsim.devices import Device, Provider, TooManyDevices
from taskbell.testing.pushsim.faults import Fault, FaultKind, FaultMalformed
from taskbell.testing.pushsim.journal import Push
from taskbell.testing.pushsim.printing import line
from taskbell.testing.pushsim.provider import json_answer, json_object, text_answer
from taskbell.testing.pushsim.wire import Answer, Ending, Request

if TYPE_CHECKING:
    from taskbell.testing.pushsim.simulator import PushSimulator

_PAGE = 1_000
_MOST_AT_ONCE = 10_000


class ControlRefused(ValueError):
    """A control request asks for something that there is not."""


class Control:
    """Answers control requests of one simulator."""

    def __init__(self, sim: PushSimulator) -> None:
        """Take the simulator."""
        self._sim = sim
        self._actions = {
            ("GET", ""): self._summary,
            ("GET", "settings"): self._settings,
            ("GET", "pushes"): self._pushes,
            ("DELETE", "pushes"): self._clear_pushes,
            ("GET", "refused"): self._refused,
            ("POST", "devices"): self._make_devices,
            ("POST", "devices/change"): self._change_device,
            ("GET", "screens"): self._screen,
            ("GET", "faults"): self._faults,
            ("POST", "faults"): self._add_fault,
            ("DELETE", "faults"): self._clear_faults,
        }

    def handle(self, request: Request) -> Answer:
        """Answer a control request: 200 with JSON, 400 with a sentence, 404."""
        path, _, query = request.path.partition("?")
        name = path.removeprefix("/control").strip("/")
        if (request.method, name) == ("GET", "ca"):
            return text_answer(200, self._sim.credentials.authority)
        action = self._actions.get((request.method, name))
        if action is None:
            return json_answer(404, {"error": f"no {request.method} /control/{name}"})
        body = json_object(request.body) if request.body else {}
        if body is None:
            return json_answer(400, {"error": "the body is no JSON object"})
        try:
            asked: dict[str, Any] = {**dict(parse_qsl(query, max_num_fields=20)), **body}
            return json_answer(200, action(asked))
        except (ControlRefused, FaultMalformed, TooManyDevices) as refused:
            return json_answer(400, {"error": str(refused)})

    def _summary(self, _: dict[str, Any]) -> dict[str, Any]:
        sim = self._sim
        return {
            "url": sim.url,
            "sandbox_url": sim.sandbox_url,
            "accepted": {str(provider): n for provider, n in sim.journal.accepted.items()},
            "statuses": {f"{provider} {status}": n for (provider, status), n in sim.journal.statuses.items()},
            "faults": len(sim.faults),
            "fired": sim.faults.fired,
            "bearer_tokens": sim.oauth.issued,
            "provider_tokens": sim.apns.tokens.seen,
            "connections": len(sim.server.connections),
        }

    def _settings(self, _: dict[str, Any]) -> dict[str, str]:
        return self._sim.settings(None)

    def _pushes(self, asked: dict[str, Any]) -> dict[str, Any]:
        after, limit = _number(asked, "after", 0), min(_number(asked, "limit", _PAGE), _PAGE)
        wanted = (
            push
            for push in self._sim.journal.after(after)
            if asked.get("provider") in {None, push.provider} and asked.get("address") in {None, push.address}
        )
        page = [push_document(push) for push in itertools.islice(wanted, max(0, limit))]
        return {"total": self._sim.journal.total, "pushes": page}

    def _clear_pushes(self, _: dict[str, Any]) -> dict[str, Any]:
        self._sim.journal.clear()
        return {}

    def _refused(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"refused": [asdict(refused) for refused in [*self._sim.journal.refused][-_PAGE:]]}

    def _make_devices(self, asked: dict[str, Any]) -> dict[str, Any]:
        provider = _provider(asked)
        count = _number(asked, "count", 1)
        if not 1 <= count <= _MOST_AT_ONCE:
            raise ControlRefused(f"count: 1 to {_MOST_AT_ONCE}")
        environment = None
        if provider is Provider.APNS:
            environment = asked.get("environment", "production")
            if environment not in {"production", "sandbox"}:
                raise ControlRefused("environment: production or sandbox")
        made = [self._sim.devices.new(provider, environment=environment) for _ in range(count)]
        return {"devices": [device_document(device) for device in made]}

    def _device(self, asked: dict[str, Any]) -> Device:
        device = self._sim.devices.at(str(asked.get("address")))
        if device is None:
            raise ControlRefused("no device has this address")
        return device

    def _change_device(self, asked: dict[str, Any]) -> dict[str, Any]:
        device = self._device(asked)
        if "gone_at" in asked:
            device.gone_at = None if asked["gone_at"] is None else float(_number(asked, "gone_at", 0))
        if "archived" in asked:
            device.archived = bool(asked["archived"])
        if asked.get("off") is True:
            device.screen.switch_off()
        elif asked.get("off") is False:
            device.screen.switch_on(now=self._sim.world.clock())
        return device_document(device)

    def _screen(self, asked: dict[str, Any]) -> dict[str, Any]:
        screen = self._device(asked).screen
        return {"alerted": screen.alerted, "off": screen.off, "alerts": [asdict(shown) for shown in screen.alerts]}

    def _faults(self, _: dict[str, Any]) -> dict[str, Any]:
        rules = self._sim.faults.describe()
        return {"faults": [{**_fault_document(fault), "left": left} for fault, left in rules]}

    def _add_fault(self, asked: dict[str, Any]) -> dict[str, Any]:
        self._sim.faults.add(read_fault(asked))
        return {}

    def _clear_faults(self, _: dict[str, Any]) -> dict[str, Any]:
        self._sim.faults.clear()
        return {}


def _number(asked: dict[str, Any], name: str, otherwise: int) -> int:
    try:
        return int(asked.get(name, otherwise))
    except (TypeError, ValueError, OverflowError):
        raise ControlRefused(f"{name}: a number") from None


def _provider(asked: dict[str, Any]) -> Provider:
    try:
        return Provider(asked.get("provider", Provider.WEBPUSH))
    except ValueError:
        raise ControlRefused(f"provider: {', '.join(Provider)}") from None


def push_document(push: Push) -> dict[str, Any]:
    """A push as JSON, with a line for people."""
    return {**asdict(push), "line": line(push)}


def device_document(device: Device) -> dict[str, Any]:
    """A device as `POST /v1/devices` of the API takes it, and what the simulator knows of it."""
    names = ("provider", "address", "environment", "p256dh", "auth", "gone_at", "archived")
    return {name: getattr(device, name) for name in names}


def read_fault(asked: dict[str, Any]) -> Fault:
    """Read a fault from JSON; its body is text.

    Raises:
        FaultMalformed: A field is unknown or has another type.
    """
    known = {each.name for each in fields(Fault)}
    if unknown := asked.keys() - known:
        raise FaultMalformed(f"unknown: {', '.join(sorted(unknown))}")
    given = dict(asked)
    try:
        given["kind"] = FaultKind(given["kind"])
        if "ending" in given:
            given["ending"] = Ending(given["ending"])
        for name in {"body", "debug"} & given.keys():
            given[name] = str(given[name]).encode()
        if "headers" in given:
            given["headers"] = {str(name).lower(): str(text) for name, text in given["headers"].items()}
        return Fault(**given)
    except (KeyError, ValueError, TypeError, AttributeError) as wrong:
        raise FaultMalformed(f"no fault: {wrong}") from wrong


def _fault_document(fault: Fault) -> dict[str, Any]:
    found = asdict(fault)
    return {**found, "body": fault.body.decode("utf-8", "replace"), "debug": fault.debug.decode("utf-8", "replace")}
