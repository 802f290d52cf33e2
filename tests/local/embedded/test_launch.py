import os
import subprocess
import sys

import pytest

from taskbell.local.embedded.process import launched, ordinary_identity

LOOK = "import os, sys; print(os.getuid(), os.access(sys.argv[1], os.X_OK), open(sys.argv[1]).read(), end='')"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_an_ordinary_user_finds_and_reads_what_lies_in_a_folder_closed_to_it(tmp_path):
    """Both access(2), which asks as the real user, and open(2) reach a program below a folder of root's."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    program = closed / "program"
    program.write_text("found")
    program.chmod(0o755)
    user = ordinary_identity(tmp_path)
    assert user
    look = [sys.executable, "-I", "-S", "-c", LOOK, str(program)]
    done = subprocess.run(launched(look, identity=user), capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (f"{user.uid} True found", "")
