"""A script: `taskbell up` with a PgBouncer before PostgreSQL, which is kept running like every part.

Its first argument is the path of PgBouncer.
"""

import asyncio
import sys
from functools import cached_property

import poolers
from taskbell.local import components
from taskbell.local.commands import up
from taskbell.local.embedded.process import free_port
from taskbell.local.supervisor.component import Component
from taskbell.store import roles

THROUGH = (roles.API, roles.GATEWAY, roles.SWEEPER, roles.DELIVERY)
"""Who may come through it: the relay, migrations and maintenance need sessions of their own."""


class Pooled(components.Wiring):
    """The wiring in which all programs that may reach PostgreSQL through the pooler do so."""

    @cached_property
    def pooler(self):
        """The pooler."""
        return poolers.PgBouncer(
            path=sys.argv[1],
            folder=self.data.root / "pgbouncer",
            port=free_port(),
            postgres_port=self.postgres.port,
            passwords=self.credentials.role_passwords,
        )

    def database_url(self, role, *, server=None):
        """Lead to the pooler instead of the primary."""
        url = super().database_url(role, server=server)
        if server is not None or role not in THROUGH:
            return url
        return url.replace(f":{self.postgres.port}/", f":{self.pooler.port}/")

    def stores(self):
        """The same, and the pooler."""
        return [
            *super().stores(),
            Component(
                name="pgbouncer",
                command=tuple(self.pooler.command()),
                log=self.data.logs / "pgbouncer.log",
                stage=components.Stage.NATS,
                env=self.environment,
                port=self.pooler.port,
                prepare=self.pooler.prepare,
                is_ready=lambda: asyncio.to_thread(self.pooler.accepts_connections),
                stop_signal=self.pooler.stop_signal,
            ),
        ]


if __name__ == "__main__":
    up.Wiring = Pooled
    up.up()
