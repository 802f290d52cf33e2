"""Entry point of the operator: `taskbell-operator` or `python -m taskbell.operator`."""

from __future__ import annotations

from taskbell.start.signals import run


def main() -> None:
    """Run `taskbell.operator.command`."""
    run("taskbell.operator.command")


if __name__ == "__main__":
    main()
