"""Pods that the operator may not write to: the pool shrinks anyway."""

import pytest
import structlog

from kubernetes_emulator.proxy import Fault
from taskbell.operator.plan.need import Reading
from taskbell.operator.plan.victims import Load


class IdleGateways:
    """A signal that asks for one pod and knows the connections of two."""

    async def read(self, _spec, _scale, _paces):
        """One reading."""
        loads = (Load("one", 7), Load("two", 9))
        return [Reading(name="s", value=16, needed=1.0, wakes=True, loads=loads)]


@pytest.mark.parametrize("status", [403, 500])
async def test_a_pod_that_cannot_be_marked_does_not_stop_scaling(proxy, pools, status):
    """A policy on pods, or a fault, costs the order in which pods go, which the log says, and nothing else."""
    place = pools(IdleGateways())
    await place.deploy(replicas=5)
    await place.make()
    proxy.faults += [Fault(method="PATCH", path_ends=f"/pods/{pod}", status=status) for pod in ("one", "two")]
    await place.look()
    with structlog.testing.capture_logs() as logs:
        assert await place.look(after=300) == 1
    assert await place.condition("Ready") == ("True", "SizeKept")
    assert sorted(entry["pod"] for entry in logs if entry["event"] == "pod_not_marked") == ["one", "two"]
