"""`taskbell capacity`: the check (`run`), two reports compared (`compare`), a million tasks (`million`)."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

from httpx import HTTPError

from taskbell.capacity import service
from taskbell.capacity.arguments import parse
from taskbell.capacity.compare import main as compare
from taskbell.capacity.interrupts import Interrupts
from taskbell.capacity.load import LoadFailed
from taskbell.capacity.million.__main__ import main as million
from taskbell.capacity.outside import TargetRefused
from taskbell.capacity.run import Start, run, say
from taskbell.capacity.service import PlatformNotPrepared, PlatformNotStarted
from taskbell.capacity.workers import main as worker


def main(given: Sequence[str] | None = None, *, start: Start = service.running_unlimited) -> int:
    """Do what the first argument says; return 0 if it passed, 1 if not, 2 if it could not run or did not finish."""
    arguments = [*(sys.argv[1:] if given is None else given)]
    if arguments[:1] == ["million"]:
        return million(arguments[1:])
    if arguments[:1] == ["worker"]:
        return worker(arguments[1:])
    if arguments[:1] == ["compare"]:
        return compare(arguments[1:])
    command = parse(arguments)
    interrupts = Interrupts()
    interrupts.install()
    try:
        return run(command, interrupts, start=start)
    except (PlatformNotStarted, PlatformNotPrepared, TargetRefused, LoadFailed, HTTPError, OSError) as failed:
        say(f"could not run: {failed}")
    except KeyboardInterrupt:
        say("interrupted; there is no report")
    return 2


if __name__ == "__main__":
    # Images block SIGTERM, also for the processes that this one ends by it, and a container's first process ignores it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    sys.exit(main())
