"""What the bench calls flat: the last third of a run holds no more than the second did, but for a bound."""

import pytest

from forestay_bench.backpressure import Held, too_much


def held(*megabytes: float) -> Held:
    return Held("a", "a case", list(megabytes))


@pytest.mark.parametrize(
    ("samples", "growth"),
    [((10, 50, 90, 90, 80, 90), 0), ((10, 20, 30, 40, 50, 60), 20), ((90, 90, 80, 80, 70, 70), -10)],
)
def test_what_a_worker_fills_at_first_is_no_growth(samples: tuple[float, ...], growth: float) -> None:
    assert held(*samples).growth == growth
    assert bool(too_much([held(*samples)], 10)) == (growth > 10)


def test_the_course_is_drawn_from_nothing_to_the_peak() -> None:
    assert held(0, 50, 100).sparkline() == "▁▅█"
    assert len(held(*range(1, 1_000)).sparkline()) == 32
