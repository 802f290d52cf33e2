"""A simulator of push providers for measurements: a process of its own, which checks each request as they would."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from joserfc import jwt
from joserfc.jwk import RSAKey

_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_SCOPE = "https://www.googleapis.com/auth/firebase.messaging"


class SimulatorNotStarted(Exception):
    """The simulator ended before it served."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """A simulator that runs: where, which authority it has, the settings for Taskbell, and one Android device."""

    url: str
    ca_file: str
    settings: dict[str, str]
    device: str

    @property
    def account(self) -> dict[str, str]:
        """The service account that Firebase knows."""
        account: dict[str, str] = json.loads(self.settings["TASKBELL_FCM_CREDENTIALS"])
        return account

    @property
    def path(self) -> str:
        """Where messages of that account are sent to."""
        return f"/v1/projects/{self.account['project_id']}/messages:send"

    @property
    def tls(self) -> ssl.SSLContext:
        """A context that trusts it, for HTTP/2."""
        context = ssl.create_default_context(cafile=self.ca_file)
        context.set_alpn_protocols(["h2"])
        return context

    def client(self) -> httpx.AsyncClient:
        """A bare HTTP/2 client."""
        return httpx.AsyncClient(
            base_url=self.url, verify=self.tls, http2=True, http1=False, timeout=60, trust_env=False
        )

    async def bearer(self, client: httpx.AsyncClient) -> str:
        """Sign in as the service account does; return the header's value."""
        account, now = self.account, int(time.time())
        claims = {"iss": account["client_email"], "aud": account["token_uri"], "scope": _SCOPE}
        header = {"alg": "RS256", "kid": account["private_key_id"]}
        key = RSAKey.import_key(account["private_key"])
        form = {"grant_type": _GRANT, "assertion": jwt.encode(header, {**claims, "iat": now, "exp": now + 3600}, key)}
        answer = await client.post(urlsplit(account["token_uri"]).path, data=form)
        return f"Bearer {answer.raise_for_status().json()['access_token']}"


@contextmanager
def push_simulator(folder: Path) -> Iterator[Simulated]:
    """Run a simulator with its files in a folder, which it makes; it ends with the block.

    Raises:
        SimulatorNotStarted: It did not start; it has said why.
    """
    options = ["--dir", str(folder), "--devices", "fcm", "--json", "--quiet", "--keep", "1"]
    command = [sys.executable, "-m", "taskbell.testing.pushsim", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            line = process.stdout.readline() if process.stdout else b""
            if not line:
                raise SimulatorNotStarted("the push simulator did not start")
            made: dict[str, Any] = json.loads(line)
            settings = json.loads((folder / "settings.json").read_text())["settings"]
            yield Simulated(url=made["url"], ca_file=made["ca_file"], settings=settings, device=made["devices"]["fcm"])
        finally:
            process.terminate()
