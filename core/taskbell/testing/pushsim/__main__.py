"""Entry of a simulator as a process: `python -m taskbell.testing.pushsim`."""

from __future__ import annotations

from taskbell.start.signals import run


def main() -> None:
    """Run `taskbell.testing.pushsim.command`."""
    run("taskbell.testing.pushsim.command")


if __name__ == "__main__":
    main()
