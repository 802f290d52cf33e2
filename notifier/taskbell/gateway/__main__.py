"""Entry of one gateway process: `taskbell-gateway` or `python -m taskbell.gateway`."""

from __future__ import annotations

from taskbell.start.signals import run


def main() -> None:
    """Run `taskbell.gateway.command`."""
    run("taskbell.gateway.command")


if __name__ == "__main__":
    main()
