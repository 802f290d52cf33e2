"""The processes of the platform on one machine: their commands, environments and order."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from taskbell.contract.nats_users import ADMINISTRATOR, Program, permissions, user_of
from taskbell.local.credentials import Credentials
from taskbell.local.data_dir import DataDir
from taskbell.local.db import DATABASE
from taskbell.local.embedded.nats import NatsServer, NatsUser
from taskbell.local.embedded.postgres import PostgresReplica, PostgresServer
from taskbell.local.embedded.process import launched
from taskbell.local.probes import answers_ready
from taskbell.local.push import PushSimulator
from taskbell.local.server_sockets import port_of
from taskbell.local.supervisor.component import Component
from taskbell.store import roles

_REQUESTS_A_MINUTE = "60000"
"""Of one user: scripts of a developer are no attack."""
_CONNECTIONS = 150  # of PostgreSQL's 200, for all workers of the API together


class Stage(IntEnum):
    """The order of stopping, the highest first."""

    POSTGRES = 0
    REPLICA = 1
    NATS = 2
    PUSHSIM = 3
    RELAY = 4
    DELIVERY = 5
    API = 6
    GATEWAY = 7


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """What connects the parts of a platform: addresses, credentials, server sockets."""

    data: DataDir
    credentials: Credentials
    environment: Mapping[str, str]
    """What they inherit from the environment of `taskbell up`."""
    api_sockets: Sequence[socket.socket]
    """One for each API process, all on one port."""
    gateway_sockets: Sequence[socket.socket]
    """One for each gateway process, all on one port."""
    relay_sockets: Sequence[socket.socket]
    """One for the probes of each relay: the active one and its standbys."""
    delivery_sockets: Sequence[socket.socket]
    """One for the probes of each delivery worker."""
    push: PushSimulator | None
    """The simulator of push providers, if one is wanted."""
    postgres: PostgresServer
    replica: PostgresReplica
    nats: NatsServer

    @property
    def api_url(self) -> str:
        """Base of the API."""
        return f"http://127.0.0.1:{port_of(self.api_sockets[0])}"

    @property
    def gateway_url(self) -> str:
        """Base of the gateway; its WebSocket is at `/ws`, and at the base itself."""
        return f"ws://127.0.0.1:{port_of(self.gateway_sockets[0])}"

    @property
    def nats_url(self) -> str:
        """NATS under the user without limits, for people."""
        return self.nats.url(ADMINISTRATOR)

    def database_url(self, role: str, *, server: PostgresServer | None = None) -> str:
        """URL of PostgreSQL under a role; the primary by default."""
        return (server or self.postgres).url(role, self.credentials.role_passwords[role], DATABASE)

    def owner_environment(self) -> dict[str, str]:
        """Environment of programs that change the schema."""
        return self._environment(TASKBELL_DATABASE_URL=self.database_url(roles.OWNER))

    def sweeper_environment(self) -> dict[str, str]:
        """Environment of the sweeps of due reminders."""
        return self._environment(Program.SWEEPER, TASKBELL_DATABASE_URL=self.database_url(roles.SWEEPER))

    def _environment(self, program: Program | None = None, **more: str) -> dict[str, str]:
        nats = {} if program is None else {"TASKBELL_NATS_URL": self.nats.url(user_of(program))}
        return {**self.environment, **nats, "PYTHONSAFEPATH": "1", **more}

    def stores(self) -> list[Component]:
        """PostgreSQL's primary, NATS and the push simulator, which need nothing else."""
        simulators = [] if self.push is None else [self._pushsim(self.push)]
        return [
            *simulators,
            Component(
                name="postgres",
                command=tuple(self.postgres.command()),
                log=self.data.logs / "postgres.log",
                stage=Stage.POSTGRES,
                env=self.environment,
                port=self.postgres.port,
                prepare=self.postgres.prepare,
                is_ready=lambda: asyncio.to_thread(self.postgres.accepts_connections),
                ready_within=120.0,  # recovery after a crash
                stop_signal=self.postgres.stop_signal,
                stop_within=60.0,
            ),
            Component(
                name="nats",
                command=tuple(self.nats.command()),
                log=self.data.logs / "nats.log",
                stage=Stage.NATS,
                env=self.environment,
                port=self.nats.port,
                prepare=self.nats.prepare,
                is_ready=lambda: asyncio.to_thread(self.nats.accepts_connections),
                repair=self.nats.set_damaged_aside,
                stop_signal=self.nats.stop_signal,
            ),
        ]

    def _pushsim(self, push: PushSimulator) -> Component:
        return Component(
            name="pushsim",
            command=tuple(launched(push.command())),
            log=self.data.logs / "pushsim.log",
            stage=Stage.PUSHSIM,
            env={**self.environment, "PYTHONSAFEPATH": "1"},
            fds=push.fds,
            port=push.port,
            prepare=push.forget,
            is_ready=push.is_ready,
        )

    def replicas(self) -> list[Component]:
        """The streaming replica, which needs the primary."""
        return [
            Component(
                name="postgres-replica",
                command=tuple(self.replica.command()),
                log=self.data.logs / "postgres-replica.log",
                stage=Stage.REPLICA,
                env=self.environment,
                port=self.replica.port,
                prepare=self.replica.prepare,
                is_ready=lambda: asyncio.to_thread(self.replica.accepts_connections),
                repair=self.replica.set_damaged_aside,
                ready_within=120.0,
                stop_signal=self.replica.stop_signal,
                stop_within=60.0,
            )
        ]

    def services(self) -> list[Component]:
        """Taskbell's own programs, which need a migrated database."""
        relays = [self._relay(_numbered("relay", n), server) for n, server in enumerate(self.relay_sockets, 1)]
        deliveries = [
            self._delivery(_numbered("delivery", n), server) for n, server in enumerate(self.delivery_sockets, 1)
        ]
        apis = [self._api(_numbered("api", n), server) for n, server in enumerate(self.api_sockets, 1)]
        gateways = [self._gateway(_numbered("gateway", n), server) for n, server in enumerate(self.gateway_sockets, 1)]
        return [*relays, *deliveries, *apis, *gateways]

    def _api(self, name: str, server: socket.socket) -> Component:
        environment = self._environment(
            Program.API,
            TASKBELL_DATABASE_URL=self.database_url(roles.API),
            TASKBELL_SIGNING_KEYS=self.credentials.signing_keys,
            TASKBELL_SECOND_FACTOR_KEYS=self.credentials.second_factor_keys,
            TASKBELL_GATEWAY_URL=f"{self.gateway_url}/ws",
        )
        environment.setdefault("TASKBELL_WEBHOOK_ALLOW_HTTP", "true")
        environment.update(self._push_settings("VAPID_PUBLIC_KEY", "PUSH_ALLOW_PRIVATE"))
        # Tests and load tests make all their users from this machine.
        environment.setdefault("TASKBELL_REGISTRATIONS_ALLOWED", "1000000")
        environment.setdefault("TASKBELL_RATE_LIMIT_PER_MINUTE", _REQUESTS_A_MINUTE)
        pool_size = str(min(20, _CONNECTIONS // len(self.api_sockets)))
        environment.setdefault("TASKBELL_DATABASE_POOL_SIZE", pool_size)
        environment.setdefault("TASKBELL_DATABASE_REPLICA_URLS", self.database_url(roles.API, server=self.replica))
        environment.setdefault("TASKBELL_DATABASE_REPLICA_POOL_SIZE", pool_size)
        return self._service(name, "taskbell.api", stage=Stage.API, env=environment, server=server)

    def _push_settings(self, *names: str) -> dict[str, str]:
        prefixes = tuple(f"TASKBELL_{name}" for name in names)
        found = {} if self.push is None else self.push.settings(self.environment)
        return {name: value for name, value in found.items() if name.startswith(prefixes)}

    def _relay(self, name: str, server: socket.socket) -> Component:
        environment = self._environment(Program.RELAY, TASKBELL_DATABASE_URL=self.database_url(roles.RELAY))
        return self._service(name, "taskbell.relay", stage=Stage.RELAY, env=environment, server=server)

    def _delivery(self, name: str, server: socket.socket) -> Component:
        environment = self._environment(Program.DELIVERY, TASKBELL_DATABASE_URL=self.database_url(roles.DELIVERY))
        # A developer's receivers run on this machine, without a certificate.
        environment.setdefault("TASKBELL_WEBHOOK_ALLOW_PRIVATE", "true")
        environment.setdefault("TASKBELL_DELIVERY_DRAIN_TIMEOUT", "PT5S")
        environment.update(self._push_settings("FCM_", "APNS_", "VAPID_PRIVATE_KEY", "VAPID_SUBJECT", "PUSH_"))
        return self._service(name, "taskbell.delivery", stage=Stage.DELIVERY, env=environment, server=server)

    def _gateway(self, name: str, server: socket.socket) -> Component:
        environment = self._environment(
            Program.GATEWAY,
            TASKBELL_DATABASE_URL=self.database_url(roles.GATEWAY),
            TASKBELL_JWKS_URL=f"{self.api_url}/.well-known/jwks.json",
        )
        return self._service(name, "taskbell.gateway", stage=Stage.GATEWAY, env=environment, server=server)

    def _service(
        self, name: str, module: str, *, stage: Stage, env: dict[str, str], server: socket.socket
    ) -> Component:
        port = port_of(server)
        return Component(
            name=name,
            command=tuple(launched([sys.executable, "-m", module, "--fd", str(server.fileno())])),
            log=self.data.logs / f"{name}.log",
            stage=stage,
            env=env,
            fds=(server.fileno(),),
            port=port,
            is_ready=lambda: answers_ready(port),
        )


def nats_users(credentials: Credentials) -> dict[str, NatsUser]:
    """The users of the programs on NATS, by name."""
    return {
        user_of(program): NatsUser(account=ADMINISTRATOR, password=password, permissions=permissions(program))
        for program, password in credentials.nats_passwords.items()
    }


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-{number}"
