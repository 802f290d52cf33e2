"""`make million`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from taskbell.capacity.interrupts import Interrupts
from taskbell.capacity.million.arguments import parse
from taskbell.capacity.million.load import FolderInUse
from taskbell.capacity.million.public import NotRead
from taskbell.capacity.million.run import Interrupted, RunRefused, run, say
from taskbell.capacity.service import PlatformNotPrepared, PlatformNotStarted


def main(given: Sequence[str]) -> int:
    """Run it; return 0 if every count is equal, 1 if not, 2 if it did not come to its end."""
    command = parse(given)
    interrupts = Interrupts()
    interrupts.install()
    try:
        return run(command, interrupts)
    except (RunRefused, FolderInUse) as refused:
        say(str(refused))
    except (PlatformNotStarted, PlatformNotPrepared, NotRead, OSError) as failed:
        say(f"did not come to its end: {failed}; the same command goes on")
    except (Interrupted, KeyboardInterrupt):
        say("interrupted; the same command goes on")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
