"""`make capacity`."""

from __future__ import annotations

import sys

from taskbell.capacity import service
from taskbell.capacity.arguments import parse
from taskbell.capacity.interrupts import Interrupts
from taskbell.capacity.load import LoadFailed
from taskbell.capacity.run import Start, run, say
from taskbell.capacity.service import PlatformNotPrepared, PlatformNotStarted


def main(*, start: Start = service.running_unlimited) -> int:
    """Run the check; return 0 if it passed, 1 if not, 2 if it could not run or did not finish."""
    command = parse()
    interrupts = Interrupts()
    interrupts.install()
    try:
        return run(command, interrupts, start=start)
    except (PlatformNotStarted, PlatformNotPrepared, LoadFailed, OSError) as failed:
        say(f"could not run: {failed}")
    except KeyboardInterrupt:
        say("interrupted; there is no report")
    return 2


if __name__ == "__main__":
    sys.exit(main())
