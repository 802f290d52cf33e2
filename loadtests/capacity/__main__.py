"""`make capacity`."""

from __future__ import annotations

import signal
import sys
from types import FrameType

from capacity.arguments import parse
from capacity.run import GeneratorFailed, run, say
from capacity.service import PlatformNotPrepared, PlatformNotStarted


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Run the check; 0 passed, 1 not, 2 could not run."""
    command = parse()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return run(command)
    except (PlatformNotStarted, PlatformNotPrepared, GeneratorFailed, OSError) as failed:
        say(f"could not run: {failed}")
    except KeyboardInterrupt:
        say("interrupted; there is no report")
    return 2


if __name__ == "__main__":
    sys.exit(main())
