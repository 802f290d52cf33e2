"""`make capacity`."""

from __future__ import annotations

import signal
import sys
from types import FrameType

from capacity.arguments import parse
from capacity.run import GeneratorFailed, run, say
from capacity.service import PlatformNotPrepared, PlatformNotStarted

_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    for number in _INTERRUPTS:
        signal.signal(number, signal.SIG_IGN)  # what we started is being stopped: a second Ctrl-C must not prevent it
    raise KeyboardInterrupt


def main() -> int:
    """Run the check; 0 passed, 1 not, 2 could not run."""
    command = parse()
    for number in _INTERRUPTS:
        signal.signal(number, _interrupt)
    try:
        return run(command)
    except (PlatformNotStarted, PlatformNotPrepared, GeneratorFailed, OSError) as failed:
        say(f"could not run: {failed}")
    except KeyboardInterrupt:
        say("interrupted; there is no report")
    return 2


if __name__ == "__main__":
    sys.exit(main())
