"""Entry of one API process: `taskbell-api` or `python -m taskbell.api`."""

from __future__ import annotations

from taskbell.start.signals import run


def main() -> None:
    """Run `taskbell.api.command`."""
    run("taskbell.api.command")


if __name__ == "__main__":
    main()
