"""A simulator of push providers for people and for other processes, until Ctrl-C.

It listens on 127.0.0.1 alone, prints a line for each alert that arrives, and writes the settings with which Taskbell
uses it into a folder. What it prints and what goes wrong can be asked and changed under /control while it runs.
"""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys
from pathlib import Path

import orjson
import uvloop

from taskbell.kit.entry import allow_open_files, asked_to_stop
from taskbell.start.private_files import write_private
from taskbell.testing.pushsim.control import push_document
from taskbell.testing.pushsim.credentials import Credentials, CredentialsMalformed
from taskbell.testing.pushsim.devices import Device, Provider
from taskbell.testing.pushsim.journal import Push
from taskbell.testing.pushsim.printing import line
from taskbell.testing.pushsim.simulator import PushSimulator

_EXAMPLES = """\
examples:
  python -m taskbell.testing.pushsim --port 8443 --devices fcm,apns,webpush
  set -a; . .pushsim/settings.env; set +a; taskbell-delivery
  curl --cacert .pushsim/pushsim-ca.pem https://127.0.0.1:8443/control/pushes
  curl --cacert .pushsim/pushsim-ca.pem https://127.0.0.1:8443/control/faults \\
       -d '{"kind": "status", "provider": "fcm", "status": 503, "times": 5}'
"""


def main() -> None:
    """Run it.

    Raises:
        SystemExit: An argument is wrong, a port is taken, or the folder holds something else.
    """
    arguments = _parser().parse_args()
    allow_open_files()
    try:
        uvloop.run(_serve(arguments))
    except (CredentialsMalformed, OSError, ValueError) as refused:
        raise SystemExit(f"pushsim: {refused}") from None


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m taskbell.testing.pushsim",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--port", type=int, default=0, help="port of all providers (default: any free one)")
    made.add_argument("--sandbox-port", type=int, default=0, help="port of APNs' sandbox (default: any free one)")
    made.add_argument("--fd", type=int, help="an inherited listening socket in place of --port")
    made.add_argument("--sandbox-fd", type=int, help="the same for --sandbox-port")
    made.add_argument(
        "--dir",
        type=Path,
        default=Path(".pushsim"),
        help="folder of keys, CA certificate, settings.env and settings.json (default: .pushsim)",
    )
    made.add_argument("--keep", type=int, default=10_000, help="pushes and refusals kept for /control (10000)")
    made.add_argument(
        "--devices", default="", help=f"make one device of each of these and print it: {','.join(Provider)}"
    )
    made.add_argument("--json", action="store_true", help="print JSON, one document a line")
    made.add_argument("--quiet", action="store_true", help="print no pushes")
    return made


async def _serve(arguments: argparse.Namespace) -> None:
    sim = PushSimulator(Credentials.kept_in(arguments.dir), keep=max(1, arguments.keep))
    if arguments.fd is not None and arguments.sandbox_fd is not None:
        await sim.start_on(arguments.fd, arguments.sandbox_fd)
    else:
        await sim.start(arguments.port, arguments.sandbox_port)
    asked = asked_to_stop()
    devices = [sim.devices.new(Provider(name)) for name in arguments.devices.split(",") if name]
    _introduce(sim, arguments.dir, devices, as_json=arguments.json)
    if not arguments.quiet:
        sim.journal.listeners.append(_print_json if arguments.json else _print_line)
    try:
        await asked.wait()
    finally:
        await sim.stop()


def _introduce(sim: PushSimulator, folder: Path, devices: list[Device], *, as_json: bool) -> None:
    ca_file = sim.credentials.write_authority(folder).resolve()
    found = sim.settings(ca_file)
    settings = folder / "settings.env"
    write_private(settings, "".join(f"{name}={shlex.quote(value)}\n" for name, value in found.items()))
    addresses = {"url": sim.url, "sandbox_url": sim.sandbox_url, "ca_file": str(ca_file)}
    write_private(folder / "settings.json", orjson.dumps({**addresses, "settings": found}).decode())
    if as_json:
        made = {device.provider: device.address for device in devices}
        _write_json({**addresses, "devices": made})
        return
    _say(f"push simulator  {sim.url}  (APNs' sandbox: {sim.sandbox_url})")
    _say(f"settings        {settings}")
    for device in devices:
        _say(f"{device.provider:<15} {device.address}")
    _say("waiting for alerts; Ctrl-C stops")


def _say(text: str) -> None:
    _write(text.encode())


def _print_line(push: Push) -> None:
    _say(line(push))


def _print_json(push: Push) -> None:
    _write_json(push_document(push))


def _write_json(document: object) -> None:
    _write(orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS))


def _write(text: bytes) -> None:
    with contextlib.suppress(OSError):  # a full disk, or a reader that left: the journal has it, and work goes on
        sys.stdout.buffer.write(text + b"\n")
        sys.stdout.buffer.flush()
