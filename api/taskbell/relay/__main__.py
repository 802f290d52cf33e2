"""Entry of the relay: `taskbell-relay` or `python -m taskbell.relay`."""

from __future__ import annotations

from taskbell.start.signals import run


def main() -> None:
    """Run `taskbell.relay.command`."""
    run("taskbell.relay.command")


if __name__ == "__main__":
    main()
