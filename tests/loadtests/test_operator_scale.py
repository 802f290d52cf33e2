"""`loadtests/operator_scale.py`: a small run on a real API server gives every figure."""

import json
import os
import subprocess
import sys

import pytest

from kubernetes_emulator import control_plane


@pytest.mark.skipif("KUBEBUILDER_ASSETS" not in os.environ or not control_plane.is_there(), reason=control_plane.ABSENT)
@pytest.mark.timeout(900)
@pytest.mark.xdist_group("control-plane")
def test_a_small_run_has_all_figures(loadtests):
    """All objects become Ready; idle, the operator reads its pools and the Lease and writes nothing but the Lease."""
    command = [sys.executable, "operator_scale.py", "--schedules", "3", "--pools", "2", "--idle", "12", "--json"]
    environment = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
    environment |= {"PYTHONPATH": str(loadtests.parent / "tests" / "shared")}
    ran = subprocess.run(command, cwd=loadtests, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert (found["schedules"], found["pools"]) == (3, 2)
    assert 0 < found["reconciled_cpu_s"] < found["reconciled_s"] * 4
    assert found["idle_rss_mib"] > 20
    rates = found["idle_requests_per_minute"]
    assert rates["GET workerpools"] > 0
    assert {name for name in rates if not name.startswith(("GET", "LIST"))} <= {"PUT leases", "PATCH leases"}


def test_without_an_api_server_it_says_what_to_set(loadtests):
    """One line, status 1."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KUBE")}
    environment |= {"PYTHONPATH": str(loadtests.parent / "tests" / "shared")}
    ran = subprocess.run(
        [sys.executable, "operator_scale.py"],
        cwd=loadtests,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert ran.stderr.startswith("set KUBEBUILDER_ASSETS")
