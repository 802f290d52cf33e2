"""The floor of push alerts, measured for a moment against a real simulator."""

import pytest

from push_floor import CONCURRENCY, measure_clients
from push_simulator import SimulatorNotStarted, push_simulator

pytestmark = pytest.mark.feature("T11")


async def test_both_clients_are_measured(tmp_path):
    """Each client sends at each concurrency, and every request is accepted."""
    with push_simulator(tmp_path) as simulated:
        figures = await measure_clients(simulated, seconds=0.2)
    assert [figure.name for figure in figures] == [
        f"push {client} {concurrency}" for client in ("httpx", "h2") for concurrency in CONCURRENCY
    ]
    assert all(figure.ours > 0 for figure in figures)


def test_a_simulator_that_cannot_start_is_an_error(tmp_path):
    """A folder that holds something else ends the run."""
    (tmp_path / "pushsim.json").write_text("{}")
    with pytest.raises(SimulatorNotStarted), push_simulator(tmp_path):
        pytest.fail("it runs")
