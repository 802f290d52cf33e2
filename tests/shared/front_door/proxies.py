"""HAProxy and nginx as processes: the examples of the documentation, with rules and addresses put in."""

import abc
import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from front_door.routes import Rule
from taskbell.local.embedded.process import free_port, launched
from taskbell.testing.waiting import until

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples" / "front-door"


class Proxy(abc.ABC):
    """A proxy that ends TLS at a public address.

    Attributes:
        port: Where clients come by TLS.
        plain_port: Where they come without.
        balancer_port: Where they come by TLS through a load balancer that names their address by the PROXY protocol.
        log: What the proxy printed.
    """

    example: str
    program: str

    def __init__(
        self,
        folder: Path,
        *,
        certificate: Path,
        rules: Sequence[Rule] | None,
        pods: Mapping[str, Sequence[int]],
        outer: bool = False,
    ) -> None:
        """Describe it; `started` starts it.

        Args:
            folder: Where its files go.
            certificate: A file with the key and the certificate of all hosts.
            rules: What the chart says; None for the rules of the example itself.
            pods: The ports of this machine on which each Service is served.
            outer: Whether these are ports of another proxy, which is reached by TLS.
        """
        self.port, self.plain_port, self.balancer_port = free_port(), free_port(), free_port()
        self.folder = folder
        self.log = folder / "log"
        self.certificate = certificate
        self.rules = rules
        self.outer = outer
        self.pods = {service: list(ports) for service, ports in pods.items()}

    @contextlib.contextmanager
    def started(self) -> Iterator[Self]:
        """Run it for the length of the block."""
        config = self.folder / self.example
        config.write_text(self.configuration())
        with self.log.open("ab") as output:
            child = subprocess.Popen(launched(self.command(config)), stdout=output, stderr=output)
        try:
            until(lambda: child.poll() is not None or self.serves(), "the proxy serves")
            assert child.poll() is None, self.log.read_text()
            yield self
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(30)

    def serves(self) -> bool:
        """Whether it accepts connections."""
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def configuration(self) -> str:
        """The example with the rules and addresses of this machine."""
        text = (EXAMPLES / self.example).read_text()
        if self.rules is not None:
            text = self.with_rules(text, self.rules)
        return self.with_addresses(text)

    @abc.abstractmethod
    def command(self, config: Path) -> list[str]:
        """The command line that runs it in the foreground."""

    @abc.abstractmethod
    def with_rules(self, text: str, rules: Sequence[Rule]) -> str:
        """The configuration with these rules in place of those of the example."""

    @abc.abstractmethod
    def with_addresses(self, text: str) -> str:
        """The configuration with the addresses of this machine."""


class HAProxy(Proxy):
    """HAProxy, with its runtime interface."""

    example, program = "haproxy.cfg", "haproxy"

    def command(self, config: Path) -> list[str]:
        """Run in the foreground."""
        return [self.program, "-db", "-f", str(config)]

    def with_rules(self, text: str, rules: Sequence[Rule]) -> str:
        """Put the rules in."""
        lines = []
        for rule in rules:
            condition = f"{{ req.hdr(host),host_only -i {rule.host} }} {{ path {rule.path} }}"
            if not rule.exact:
                condition += f" or {condition.rsplit(' { path', 1)[0]} {{ path_beg {rule.path.rstrip('/')}/ }}"
            lines.append(f"    use_backend {rule.service} if {condition}\n")
        text = _replaced(r"(?m)(^ +(acl|use_backend) .*\n)+", "".join(lines), text)
        return _replaced(r"(?s)\nbackend api.*?(?=\nbackend nothing)", "", text).partition("\nbackend gateway")[
            0
        ] + "".join(f"\nbackend {service}\n    balance leastconn\n    server service no-pod\n" for service in self.pods)

    def with_addresses(self, text: str) -> str:
        """Put the addresses in."""
        secure = f"ssl crt {self.certificate} alpn h2,http/1.1"
        binds = [f":{self.plain_port}", f":{self.port} {secure}", f":{self.balancer_port} accept-proxy {secure}"]
        lines = "".join(f"    bind 127.0.0.1{each}\n" for each in binds)
        text = _replaced(r"(?m)(^ +bind .*\n)+", lines, text)
        for service, ports in self.pods.items():
            name = service if self.rules is not None else service.rpartition("-")[2]
            tls = " ssl verify none" if self.outer else ""
            servers = "".join(f"    server pod-{port} 127.0.0.1:{port}{tls}\n" for port in ports)
            text = _replaced(rf"(?<=backend {name}\n    balance leastconn\n)    server .*\n", servers, text)
        interface = (
            f"global\n    stats socket {self.folder / 'socket'} level admin\n    log stderr format raw daemon\n\n"
        )
        return interface + text

    async def withdraw(self, service: str, port: int) -> None:
        """Send nothing new to a pod, as when Kubernetes takes it from the Service's endpoints."""
        reader, writer = await asyncio.open_unix_connection(str(self.folder / "socket"))
        writer.write(f"set server {service}/pod-{port} state drain\n".encode())
        assert (await reader.read()).strip() == b""
        writer.close()


class Nginx(Proxy):
    """nginx."""

    example, program = "nginx.conf", "nginx"

    def command(self, config: Path) -> list[str]:
        """Run in the foreground."""
        return [self.program, "-p", str(self.folder), "-e", "stderr", "-c", str(config), "-g", "daemon off;"]

    def with_rules(self, text: str, rules: Sequence[Rule]) -> str:
        """Put the rules in."""
        (host,) = {rule.host for rule in rules}
        lines = ""
        for rule in rules:
            target = f"{{ proxy_pass http://{rule.service}; }}\n"
            lines += f"        location = {rule.path} {target}"
            if not rule.exact:
                lines += f"        location {rule.path.rstrip('/')}/ {target}"
        text = _replaced(r"(?m)(^ +location ~ .*\n)+", lines, text)
        text = _replaced(r"server_name [^;]*;", f"server_name {host};", text)
        upstreams = "".join(
            f"    upstream {service} {{\n        least_conn;\n        server no-pod;\n        keepalive 32;\n    }}\n"
            for service in self.pods
        )
        return _replaced(r"(?s)    upstream api .*?(?=\n    server \{)", upstreams, text)

    def with_addresses(self, text: str) -> str:
        """Put the addresses in."""
        text = _replaced(r"listen 80;", f"listen 127.0.0.1:{self.plain_port};", text)
        secure = (
            rf"listen 127.0.0.1:{self.port} ssl http2\g<1>;"
            rf"listen 127.0.0.1:{self.balancer_port} ssl http2 proxy_protocol\g<1>;"
            "set_real_ip_from 127.0.0.0/8; real_ip_header proxy_protocol;"
        )
        text = _replaced(r"listen 443 ssl http2( default_server)?;", secure, text, times=2)
        text = _replaced(r"(ssl_certificate(?:_key)? +)[^;]*(?=;)", rf"\g<1>{self.certificate}", text, times=4)
        for service, ports in self.pods.items():
            name = service if self.rules is not None else service.rpartition("-")[2]
            servers = " ".join(f"server 127.0.0.1:{port};" for port in ports)
            text = _replaced(rf"(?s)(upstream {name} \{{.*?)server [^;]*;", rf"\g<1>{servers}", text)
        own = "".join(
            f"    {kind}_temp_path {self.folder / kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        text = _replaced(r"http \{\n", f"http {{\n    access_log off;\n{own}", text)
        user = "user root;\n" if os.geteuid() == 0 else ""  # another user cannot enter a folder of root's
        return f"{user}pid {self.folder / 'pid'};\n{text}"


def _replaced(pattern: str, by: str, text: str, *, times: int = 1) -> str:
    """Replace a pattern; fail unless it is there so many times."""
    changed, found = re.subn(pattern, by, text)
    assert found == times, (pattern, found)
    return changed
