"""`make attack`."""

from __future__ import annotations

import sys

from attack.arguments import parse
from attack.run import PlatformNotCounted, run, say
from taskbell.capacity.service import PlatformNotPrepared, PlatformNotStarted


def main() -> int:
    """Run the attack; return 0 if the platform withstood it, 1 if not, 2 if it could not run."""
    command = parse()
    try:
        return run(command)
    except (PlatformNotStarted, PlatformNotPrepared, PlatformNotCounted, OSError) as failed:
        say(f"could not run: {failed}")
    except KeyboardInterrupt:
        say("interrupted; there is no report")
    return 2


if __name__ == "__main__":
    sys.exit(main())
