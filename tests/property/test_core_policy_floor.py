"""The floor of exploration: whatever is learned, no candidate in play falls below it, and chances sum to 1."""

from hypothesis import given
from hypothesis import strategies as st
from support.builders import catalogue, offer, situation

from forestay.core.policy.linear_thompson import weigh as weigh_learned
from forestay.core.policy.posterior import SIGNALS, Posterior
from forestay.core.policy.terms import Terms
from forestay.core.policy.weighing import weigh

USER = {"spend_180d": 180.0, "tenure_hours": 8760.0, "average_basket": 20.0, "orders_total": 4.0}


@given(
    effects=st.lists(st.floats(0, 1), min_size=1, max_size=8),
    floor=st.floats(0, 0.5),
    exploration=st.floats(0, 1),
    learned=st.booleans(),
)
def test_every_candidate_in_play_has_the_floor(
    effects: list[float], floor: float, exploration: float, learned: bool
) -> None:
    offers = [offer(f"o{place}", effect=effect) for place, effect in enumerate(effects)]
    shop = catalogue(*offers, policy={"exploration": exploration, "exploration_floor": floor})
    if learned:
        found = weigh_learned(shop.offers, situation(USER), 0.5, shop, nothing_learned(), terms=Terms())
        in_play = found
    else:
        found = weigh(shop.offers, situation(USER), 0.5, shop)
        in_play = [one for one in found if one.offer_id is None or one.expected_value > 0]
    assert abs(sum(one.propensity for one in found) - 1) < 1e-9
    least = min(floor, 1 / len(in_play))
    assert all(one.propensity >= least - 1e-8 for one in in_play)


def nothing_learned() -> Posterior:
    return Posterior(signals=SIGNALS, function="margin", decisions=0, prior_deviation=0.5, heads={})
