"""A script for test_runs.py: `make capacity` on a platform that runs already, in the folder TASKBELL_DATA_DIR."""

import contextlib
import json
import os
import sys
from pathlib import Path

import psutil

from taskbell.capacity import service
from taskbell.capacity.__main__ import main


class Elsewhere:
    """The process of a platform that another program started."""

    def __init__(self, pid):
        self.pid = pid

    def poll(self):
        """Tell whether it has ended, as `subprocess.Popen` does."""
        return None if psutil.pid_exists(self.pid) else 0


@contextlib.contextmanager
def start(_):
    """Find it."""
    data = Path(os.environ["TASKBELL_DATA_DIR"])
    run = json.loads((data / "run.json").read_text())
    yield service.PlatformUnderLoad(
        process=Elsewhere(run["pid"]), log=data.parent / "output", run_file=data / "run.json", run=run
    )


if __name__ == "__main__":
    sys.exit(main(start=start))
