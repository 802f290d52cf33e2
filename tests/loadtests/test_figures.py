"""What `make bench` prints and writes."""

from dataclasses import asdict

from figures import Figure, table


def test_what_does_not_apply_is_left_empty():
    """A figure without a floor has no ratio in the table and null in the file; small ones keep a digit."""
    compared = Figure(
        name="get", ours=3966, floor=4650, ratio=0.853, unit="1/s", p50_ms=4.1, p99_ms=7.25, half_p99_ms=6
    )
    alone = Figure(name="gateway: frame", ours=3.64, unit="µs CPU")
    _, first, second = table([compared, alone]).splitlines()
    assert first.split() == ["get", "3,966", "4,650", "0.85", "1/s", "4.10", "7.25", "6.00"]
    assert second.split() == ["gateway:", "frame", "3.6", "µs", "CPU"]
    assert asdict(alone)["ratio"] is None
