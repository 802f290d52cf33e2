"""Entry of the sweeper: `taskbell-sweeper`, `python -m taskbell.sweeper` or `taskbell remind`."""

from __future__ import annotations

from taskbell.start.signals import run


def main() -> None:
    """Run `taskbell.sweeper.command`."""
    run("taskbell.sweeper.command")


if __name__ == "__main__":
    main()
