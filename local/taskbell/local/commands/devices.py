"""`taskbell devices`: simulated devices for push alerts, registered through the public API, and what they show."""

from __future__ import annotations

import json
import ssl
import sys
import time
from typing import Annotated, Any, NoReturn

import httpx
import typer

from taskbell.kit.settings import load
from taskbell.local import run_file
from taskbell.local.data_dir import DataDir
from taskbell.local.push import read_simulator
from taskbell.local.run_file import RunFile
from taskbell.local.settings import LocalSettings

_PAUSE = 0.5
"""Seconds between two looks."""
_KINDS = ("fcm", "apns", "webpush")


class DeviceRefused(ValueError):
    """The API or the simulator answered with an error. The message is one line."""


def group() -> typer.Typer:
    """The commands."""
    app = typer.Typer(
        name="devices",
        help="Try push alerts on this machine: simulated devices, and what they show.",
        no_args_is_help=True,
    )
    app.command("add")(add)
    app.command("watch")(watch)
    return app


def add(
    *,
    demo: Annotated[bool, typer.Option("--demo", help="For the demo account.")] = False,
    email: Annotated[str | None, typer.Option(help="For another account.")] = None,
    password: Annotated[str | None, typer.Option(envvar="TASKBELL_LISTEN_PASSWORD", help="Its password.")] = None,
    kind: Annotated[str, typer.Option(help="fcm (Android), apns (iOS) or webpush (a browser).")] = "webpush",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Register a simulated device: from now on it gets the push alerts of the account."""
    running, simulated = _platform()
    if demo:
        email, password = running.demo.email, password or running.demo.password
    if kind not in _KINDS:
        raise typer.BadParameter(f"one of {', '.join(_KINDS)}", param_hint="--kind")
    if email is None or password is None:
        raise typer.BadParameter("give --demo, or --email and --password")
    try:
        made = _make(simulated, kind)
        device = _register(running.api_url, made, email=email, password=password)
    except (DeviceRefused, httpx.HTTPError) as refused:
        _refuse(f"the device could not be registered: {refused}")
    if as_json:
        print(json.dumps({**device, "address": made["address"]}))
    else:
        print(f"{device['name']} is registered for {email}; `taskbell devices watch` shows what arrives")


def watch(
    *,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after this many.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Begin with those that came before.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one document a line.")] = False,
) -> None:
    """Print push alerts as they arrive at simulated devices, one a line; times are UTC."""
    _, simulated = _platform()
    try:
        with _simulator(simulated) as client:
            _follow(client, count=count, everything=everything, as_json=as_json)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
    except httpx.HTTPError as away:
        _refuse(f"the push simulator does not answer: {away}")


def _follow(client: httpx.Client, *, count: int | None, everything: bool, as_json: bool) -> None:
    seen = 0
    after = 0 if everything else int(_answer(client.get("/control/pushes", params={"limit": 0}))["total"])
    while True:
        found = _answer(client.get("/control/pushes", params={"after": after}))
        if found["total"] < after:  # it was started again
            after = 0
            continue
        for push in found["pushes"]:
            after = push["number"]
            print(json.dumps(push) if as_json else push["line"], flush=True)
            seen += 1
            if seen == count:
                return
        if not found["pushes"]:
            time.sleep(_PAUSE)


def _make(simulated: dict[str, Any], kind: str) -> dict[str, Any]:
    with _simulator(simulated) as client:
        devices: list[dict[str, Any]] = _answer(client.post("/control/devices", json={"provider": kind}))["devices"]
    return devices[0]


def _register(api_url: str, made: dict[str, Any], *, email: str, password: str) -> dict[str, Any]:
    with httpx.Client(base_url=api_url, timeout=20.0, trust_env=False) as client:
        token = _answer(client.post("/v1/auth/login", json={"email": email, "password": password}))["access_token"]
        headers = {"authorization": f"Bearer {token}"}
        return _answer(client.post("/v1/devices", json=registration(made), headers=headers))


def registration(made: dict[str, Any]) -> dict[str, Any]:
    """The body of `POST /v1/devices` for a device that the simulator made."""
    kind = made["provider"]
    name = {"fcm": "simulated Android phone", "apns": "simulated iPhone"}.get(kind, "simulated browser")
    if kind == "webpush":
        keys = {"p256dh": made["p256dh"], "auth": made["auth"]}
        return {"kind": kind, "name": name, "subscription": {"endpoint": made["address"], "keys": keys}}
    environment = {"environment": made["environment"]} if kind == "apns" else {}
    return {"kind": kind, "name": name, "token": made["address"], **environment}


def _answer(response: httpx.Response) -> dict[str, Any]:
    if not response.is_success:
        raise DeviceRefused(f"{response.request.url.path} answered {response.status_code}: {response.text[:200]}")
    found: dict[str, Any] = response.json()
    return found


def _simulator(simulated: dict[str, Any]) -> httpx.Client:
    trust = ssl.create_default_context(cafile=simulated["ca_file"])
    return httpx.Client(base_url=simulated["url"], verify=trust, http2=True, http1=False, timeout=20.0, trust_env=False)


def _platform() -> tuple[RunFile, dict[str, Any]]:
    data = DataDir(load(LocalSettings).data_dir)
    running, simulated = run_file.read(data.run), read_simulator(data.pushsim)
    if running is None:
        _refuse("no platform runs here: start `taskbell up`, or give TASKBELL_DATA_DIR of one that runs")
    if simulated is None or "pushsim" not in running.components:
        _refuse("this platform has no push simulator: start it without TASKBELL_PUSH_SIMULATOR=false")
    return running, simulated


def _refuse(line: str) -> NoReturn:
    sys.stderr.write(f"taskbell: {line}\n")
    raise typer.Exit(1)
