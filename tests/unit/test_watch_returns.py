"""Expected against observed returns: calm where the model is right, an alarm within a day where shoppers change."""

import numpy as np
import pytest
from support.builders import START
from support.watching import inputs, rows

from forestay.core.decision.model_input import ModelInput
from forestay.core.units import DAY, HOUR
from forestay.core.watch.findings import judge
from forestay.core.watch.reference import Reference, reference_of
from forestay.core.watch.returns import Returns, Windows, quality
from forestay.core.watch.seen import Seen
from forestay.core.watch.tally import Row, Tally


class Shop:
    """Users who are scored once, evenly over time, and order within the day or not, evenly over it."""

    def __init__(self, seed: int, users_an_hour: int) -> None:
        self.random = np.random.default_rng(seed)
        self.returns = Returns(DAY, most_open=1_000_000)
        self.hour = 0
        self._an_hour = users_an_hour
        self._orders: dict[int, list[tuple[str, int]]] = {}

    def pass_hour(self, factor: float) -> None:
        """Lets an hour pass in which the hazard of ordering is about `factor` times what the model says."""
        now = START + self.hour * HOUR
        for user, ts in self._orders.pop(self.hour, ()):
            if self.random.uniform() < factor / 1.25:
                self.returns.ordered(user, ts)
        self.returns.close(now)
        chances = self.random.beta(3, 7, self._an_hour)
        for at, chance in enumerate(chances):
            user = f"{self.hour}-{at}"
            self.returns.expect(user, now, float(chance))
            # A quarter more would order than do, so that there is room for more.
            if self.random.uniform() < 1.25 * chance:
                ts = now + int(self.random.integers(1, DAY))
                self._orders.setdefault(-(-(ts - START) // HOUR), []).append((user, ts))
        self.hour += 1


@pytest.mark.parametrize("seed", [31, 32])
def test_a_calibrated_model_raises_no_alarm_in_a_fortnight(seed: int) -> None:
    shop, off = Shop(seed, 400), 0
    for _ in range(14 * 24):
        shop.pass_hour(1.0)
        off += shop.returns.recent.is_off
    print(f"seed {seed}: {off} hours of false alarm in a fortnight of 9,600 users a day")
    assert off == 0


@pytest.mark.parametrize(("seed", "factor"), [(33, 0.9), (34, 1.1)])
def test_a_tenth_fewer_or_more_orders_are_found_within_a_day(seed: int, factor: float) -> None:
    """40,000 users scored a day, of whom 30 % return."""
    shop, found = Shop(seed, 1_667), None
    for _ in range(48):
        shop.pass_hour(1.0)
    assert not shop.returns.recent.is_off
    for hour in range(24):
        shop.pass_hour(factor)
        if found is None and shop.returns.recent.is_off:
            found = hour + 1
    print(f"seed {seed}: base rate times {factor} found after {found} hours")
    assert found is not None


def test_a_user_has_one_window_at_a_time_and_orders_in_it_count_once() -> None:
    returns = Returns(DAY)
    returns.expect("u", START, 0.25)
    returns.expect("u", START + HOUR, 0.9)
    for hour in (0, 2, 3):
        returns.ordered("u", START + hour * HOUR)
    returns.ordered("nobody", START + 1)
    returns.close(START + DAY - 1)
    assert returns.recent == Windows(0, 0.0, 0.0, 0)
    returns.close(START + DAY)
    assert returns.recent == Windows(1, 0.25, 0.1875, 1)
    returns.expect("u", START + DAY, 0.5)
    returns.close(START + 2 * DAY)
    assert returns.recent.closed == 1
    assert returns.ever.tolist() == [2, 0.75, 0.4375, 1]


def test_the_order_at_the_moment_of_the_score_is_no_return() -> None:
    returns = Returns(DAY)
    returns.expect("u", START, 0.5)
    returns.ordered("u", START)
    returns.ordered("u", START + DAY + 1)
    returns.close(START + DAY)
    assert returns.recent.observed == 0


def test_with_too_many_windows_fewer_users_are_followed() -> None:
    returns = Returns(DAY, most_open=100)
    for at in range(3_000):
        returns.expect(f"u{at}", START + at, 0.5)
    returns.close(START + 2 * DAY)
    assert 50 <= returns.recent.closed <= 100


def test_an_error_too_small_to_matter_is_none_however_sure() -> None:
    assert not Windows(10**7, 1e6, 9e5, 1_020_000).is_off
    assert Windows(10**7, 1e6, 9e5, 1_030_000).is_off
    assert Windows(40, 12, 8, 40).deviations is None


def test_a_batch_of_hours_counts_the_orders_that_follow_a_score_in_it() -> None:
    tally = Tally(None)
    given = inputs(np.random.default_rng(1), 1)
    row = Row("u", START, START, _first(given), 0.5, 0.25)
    orders = Seen()
    orders.orders.append(("u", START + HOUR))
    tally.take(START + 3 * HOUR, orders, [row])
    tally.take(START + DAY, Seen(), [])
    assert judge([tally], None).returns == Windows(1, 0.25, 0.1875, 1)


def test_a_score_found_late_opens_no_window() -> None:
    tally = Tally(None)
    given = _first(inputs(np.random.default_rng(1), 1))
    tally.take(START, Seen(), [Row("u", START - 3 * HOUR, START, given, 0.5, 0.25)])
    tally.take(START + DAY, Seen(), [])
    assert judge([tally], None).returns.closed == 0


def test_without_a_curve_the_reference_says_how_many_return_at_a_score() -> None:
    random = np.random.default_rng(4)
    scores = random.uniform(size=2_000)
    returned = (random.uniform(size=2_000) < 0.5 * (1 - scores)).astype(np.float32)
    reference = Reference(reference_of(inputs(random, 2_000), scores, returned=returned, moments="scored"))
    tally = Tally(reference)
    tally.take(START, Seen(), rows(inputs(random, 200), random.uniform(size=200), START))
    tally.take(START + DAY, Seen(), [])
    windows = judge([tally], reference).returns
    assert windows.closed == 200
    assert windows.expected == pytest.approx(50, abs=8)


def test_the_quality_that_scores_promise() -> None:
    sure = np.zeros(50)
    sure[[0, 49]] = 1_000
    promised = quality(sure)
    assert promised is not None
    assert promised[0] > 0.98
    assert promised[1] < 0.02
    unsure = np.zeros(50)
    unsure[25] = 1_000
    assert quality(unsure) == pytest.approx((0.5, 0.2499))
    assert quality(np.zeros(50)) is None


def _first(given: ModelInput) -> ModelInput:
    return ModelInput(given.step_tokens[0], given.step_numbers[0], given.features[0])
