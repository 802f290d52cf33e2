"""What a cluster does to the database, one job each: `python -m taskbell.store roles|migrate|wait|pooler`."""

from __future__ import annotations

from taskbell.start.signals import run


def main() -> None:
    """Run `taskbell.store.command`."""
    run("taskbell.store.command")


if __name__ == "__main__":
    main()
