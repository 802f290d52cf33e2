"""The simulator in one piece: the server, the providers, their faults, and what tests ask of them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from taskbell.testing.pushsim import apns, fcm, slack, teams, webpush
from taskbell.testing.pushsim.control import Control
from taskbell.testing.pushsim.credentials import Credentials
from taskbell.testing.pushsim.devices import Device, Devices, Provider
from taskbell.testing.pushsim.faults import Fault, FaultKind, Faults
from taskbell.testing.pushsim.journal import Journal, Push, Refused
from taskbell.testing.pushsim.oauth import TokenEndpoint
from taskbell.testing.pushsim.provider import Accepted, Refusal, Refuse, World
from taskbell.testing.pushsim.server import Http2Server
from taskbell.testing.pushsim.tls import server_context
from taskbell.testing.pushsim.wire import Answer, Ending, Reply, Request
from taskbell.testing.waiting import DEADLINE, eventually

HOST = "127.0.0.1"
OAUTH = "oauth"
"""The provider's name in faults of the token endpoint."""
_NOT_FOUND = Answer(404, b"no provider has this path\n", {"content-type": "text/plain"})
_REFUSALS: dict[Provider, Callable[..., Refusal]] = {
    Provider.FCM: fcm.refusal,
    Provider.APNS: apns.refusal,
    Provider.WEBPUSH: webpush.refusal,
    Provider.SLACK: slack.refusal,
    Provider.TEAMS: teams.refusal,
}


class _Service(Protocol):
    def address_of(self, request: Request) -> str | None: ...

    def handle(self, request: Request) -> Accepted: ...


class PushSimulator:
    """All providers on one port, and APNs' sandbox on a second.

    Attributes:
        credentials: The keys; `settings` gives them as environment variables.
        devices: All devices.
        journal: What came: pushes and refusals, in their order.
        faults: What goes wrong; `fail` and `refuse` add to it.
        oauth, fcm, apns, webpush, slack, teams: The providers.
    """

    def __init__(self, credentials: Credentials, *, keep: int = 10_000, clock: Callable[[], float] = time.time) -> None:
        """Take the keys. `keep` is how many pushes and refusals are kept; `clock` is the providers' time."""
        self.credentials = credentials
        self.devices = Devices(credentials.device_secret)
        self.journal = Journal(keep=keep)
        self.faults = Faults()
        self.world = World(credentials, self.devices, self.journal, clock)
        self.oauth = TokenEndpoint(credentials)
        self.fcm = fcm.Fcm(self.world, self.oauth)
        self.apns = apns.Apns(self.world)
        self.webpush = webpush.WebPush(self.world)
        self.slack = slack.Slack(self.world)
        self.teams = teams.Teams(self.world)
        self.server = Http2Server(self._handle, tls=server_context(credentials.authority_key, credentials.authority))
        self.url = self.sandbox_url = ""
        """Where it listens: `https://127.0.0.1:<port>`."""
        self._control = Control(self)
        self._services: tuple[tuple[str, Provider, _Service], ...] = (
            ("/3/", Provider.APNS, self.apns),
            ("/v1/projects/", Provider.FCM, self.fcm),
            ("/wpush/", Provider.WEBPUSH, self.webpush),
            ("/services/", Provider.SLACK, self.slack),
            ("/workflows/", Provider.TEAMS, self.teams),
        )

    async def start(self, port: int = 0, sandbox_port: int = 0) -> None:
        """Listen on 127.0.0.1, by default on free ports."""
        self._listens(await self.server.listen(HOST, port), await self.server.listen(HOST, sandbox_port))

    async def start_on(self, fd: int, sandbox_fd: int) -> None:
        """Listen on inherited server sockets."""
        self._listens(await self.server.listen_on(fd), await self.server.listen_on(sandbox_fd))

    def _listens(self, port: int, sandbox_port: int) -> None:
        self.url, self.sandbox_url = (f"https://{HOST}:{each}" for each in (port, sandbox_port))
        self.devices.url = self.webpush.vapid.origin = self.url
        self.oauth.url = f"{self.url}/token"
        self.apns.sandbox_port = sandbox_port

    async def stop(self) -> None:
        """Break all connections and listen no more."""
        await self.server.stop()

    def settings(self, ca_file: Path | None) -> dict[str, str]:
        """The environment variables with which Taskbell uses this simulator."""
        return self.credentials.settings(url=self.url, sandbox_url=self.sandbox_url, ca_file=ca_file)

    def unregister(self, device: Device, *, at: float | None = None) -> None:
        """From `at` (Unix seconds; now by default) on, its provider says that the device is gone."""
        device.gone_at = self.world.clock() if at is None else at

    def fail(self, kind: FaultKind | str, *, device: Device | None = None, **more: Any) -> None:
        """Script a fault; `more` are the fields of `Fault`.

        Raises:
            FaultMalformed: A value is out of its range.
        """
        if device is not None:
            more |= {"provider": device.provider, "address": device.address}
        if "ending" in more:
            more["ending"] = Ending(more["ending"])
        self.faults.add(Fault(kind=FaultKind(kind), **more))

    def refuse(
        self,
        provider: Provider | str,
        reason: str,
        *,
        device: Device | None = None,
        times: int | None = 1,
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> None:
        """Script a refusal in the provider's own form; `reason` is its word, such as `UNAVAILABLE` or `Shutdown`.

        `headers` such as `{"retry-after": "3"}` join the provider's own; `more` are arguments of its refusal.
        """
        answer = _REFUSALS[Provider(provider)](reason, **more).answer
        fields = {**answer.headers, **(headers or {})}
        self.fail(
            FaultKind.STATUS,
            device=device,
            provider=str(provider),
            times=times,
            status=answer.status,
            headers=fields,
            body=answer.body,
        )

    async def arrived(self, count: int, *, within: float = DEADLINE) -> list[Push]:
        """Wait until so many pushes were accepted; return those that are kept.

        Raises:
            NotInTime: Fewer came within this many seconds.
        """
        await eventually(lambda: self.journal.total, f"{count} pushes", within=within, wanted=lambda n: n >= count)
        return [*self.journal.pushes]

    def _handle(self, request: Request) -> Reply:
        path = request.path
        for prefix, provider, service in self._services:
            if path.startswith(prefix):
                return self._serve(request, provider, service)
        if path == "/token":
            return self._give_token(request)
        if path.startswith("/control"):
            return Reply(self._control.handle(request))
        return Reply(_NOT_FOUND)

    def _serve(self, request: Request, provider: Provider, service: _Service) -> Reply:
        fault = None
        if self.faults:
            address = service.address_of(request)
            fault = self.faults.meet(provider, address)
            if fault is not None and fault.refuses:
                return self._spoiled(fault, provider, address)
        try:
            accepted = service.handle(request)
        except Refuse as refused:
            answer = refused.refusal.answer
            self._note(provider, service.address_of(request), answer.status, refused.refusal.reason)
        else:
            answer = accepted.answer
            self.journal.accept(accepted.push)
            times = 2 if fault is not None and fault.kind is FaultKind.DUPLICATE else 1
            for _ in range(times):
                accepted.device.screen.receive(accepted.effect, now=accepted.push.at)
        reply = Reply(answer) if fault is None else fault.spoil(answer)
        lost = reply.ending in {Ending.CUT, Ending.RESET, Ending.SILENT}
        self.journal.statuses[provider, 0 if lost else answer.status] += 1
        return reply

    def _give_token(self, request: Request) -> Reply:
        fault = self.faults.meet(OAUTH, None) if self.faults else None
        if fault is not None and fault.refuses:
            return self._spoiled(fault, OAUTH, None)
        answer = self.oauth.handle(request, now=self.world.clock())
        self.journal.statuses[OAUTH, answer.status] += 1
        return Reply(answer) if fault is None else fault.spoil(answer)

    def _spoiled(self, fault: Fault, provider: str, address: str | None) -> Reply:
        status = fault.status if fault.kind is FaultKind.STATUS else 0
        self._note(provider, address, status, fault.kind, scripted=True)
        self.journal.statuses[provider, status] += 1
        return fault.refusal()

    def _note(self, provider: str, address: str | None, status: int, reason: str, *, scripted: bool = False) -> None:
        self.journal.refuse(
            Refused(
                at=self.world.clock(),
                provider=provider,
                address=address,
                status=status,
                reason=reason,
                scripted=scripted,
            )
        )


class Running(PushSimulator):
    """A simulator that runs in a test.

    Attributes:
        ca_file: The authority to trust.
    """

    ca_file: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables with which Taskbell uses it."""
        return self.settings(self.ca_file)


@asynccontextmanager
async def simulator(
    *, credentials: Credentials | None = None, keep: int = 10_000, clock: Callable[[], float] = time.time
) -> AsyncIterator[Running]:
    """Run a simulator in this event loop; it ends with the block.

    Args:
        credentials: The keys; new ones by default. Making them takes 0.1 s, so a session of tests may share them.
        keep: How many pushes and refusals are kept.
        clock: The providers' time in Unix seconds.
    """
    with tempfile.TemporaryDirectory(prefix="pushsim-") as folder:
        made = Running(credentials or Credentials.generate(), keep=keep, clock=clock)
        made.ca_file = made.credentials.write_authority(Path(folder))
        await made.start()
        try:
            yield made
        finally:
            await made.stop()
