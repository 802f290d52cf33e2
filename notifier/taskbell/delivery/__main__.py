"""Entry of one delivery worker: `taskbell-delivery` or `python -m taskbell.delivery`."""

from __future__ import annotations

from taskbell.start.signals import run


def main() -> None:
    """Run `taskbell.delivery.command`."""
    run("taskbell.delivery.command")


if __name__ == "__main__":
    main()
