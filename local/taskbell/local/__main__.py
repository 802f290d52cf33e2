"""The `taskbell` command line."""

from __future__ import annotations

from taskbell.start.signals import run


def main() -> None:
    """Run `taskbell.local.cli`."""
    run("taskbell.local.cli")


if __name__ == "__main__":
    main()
