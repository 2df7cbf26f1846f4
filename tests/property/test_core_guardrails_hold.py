"""Over any stream of decisions: caps, cooldowns and the holdout hold, and what is logged adds up."""

from collections import defaultdict
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from support.builders import MODEL, answered, apply, catalogue, click, offer, partition, source
from support.oracle import KINDS

from forestay.core.decision.guardrails import in_holdout
from forestay.core.rules import Rules
from forestay.core.units import DAY, HOUR, to_milliseconds
from forestay_schemas import Decision, RetentionAction

START = 1_700_000_000_000


@st.composite
def shops(draw: st.DrawFn) -> dict[str, Any]:
    """Returns guardrails and the offers' own cooldowns."""
    return {
        "cap_contacts": draw(st.none() | st.integers(1, 4)),
        "cap_days": draw(st.sampled_from([0.5, 2, 10, 40])),
        "cooldown_days": draw(st.sampled_from([0, 0.25, 3])),
        "holdout": draw(st.sampled_from([0, 0.3, 1])),
    }


Step = tuple[int, int, int, bool]
STEPS = st.lists(
    st.tuples(
        st.integers(1, 4), st.sampled_from([1, HOUR, 6 * HOUR, DAY, 20 * DAY]), st.integers(0, 13), st.booleans()
    ),
    min_size=1,
    max_size=60,
)


def live(
    steps: list[Step], guardrails: dict[str, Any], cooldowns: list[float]
) -> tuple[list[Decision], list[RetentionAction]]:
    """Sends events a step apart (now and then a late one) through the core, with the model always sure."""
    offers = [
        offer(f"o{n}", effect=0.1 + 0.2 * n, cooldown_days=days, eligibility={"min_orders": n})
        for n, days in enumerate(cooldowns)
    ]
    shop = catalogue(*offers, policy={"exploration": 0.5}, **guardrails)
    core, now = partition(Rules(score_interval=0), shop), START
    decisions, actions = list[Decision](), list[RetentionAction]()
    for number, (user, gap, kind, late) in enumerate(steps):
        now += gap
        event = click(f"e{number}", f"u{user}", KINDS[kind], now - 2 * DAY * late, price=50, order_id=f"o{number}")
        found = apply(core, [source(event, number)]).situations
        settled = core.settle(found, answered({s.decision_id: 0.9 for s in found}), MODEL)
        decisions += settled.decisions
        actions += settled.actions
    return decisions, actions


@given(STEPS, shops(), st.lists(st.sampled_from([0, 1, 30]), min_size=1, max_size=4))
def test_no_stream_of_decisions_breaks_a_guardrail(
    steps: list[Step], guardrails: dict[str, Any], cooldowns: list[float]
) -> None:
    shop = catalogue(**guardrails)
    rules = shop.guardrails
    decisions, actions = live(steps, guardrails, cooldowns)
    sent: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for action in actions:
        assert not in_holdout(action.user_id, shop)
        sent[action.user_id].append((to_milliseconds(action.decided_at), action.offer_id))
    for contacts in sent.values():
        moments = [ts for ts, _ in contacts]
        assert moments == sorted(set(moments))
        assert all(b - a >= rules.cooldown_days * DAY for a, b in pairwise(moments))
        if rules.cap_contacts is not None:
            for start in moments:
                assert sum(start <= ts < start + rules.cap_days * DAY for ts in moments) <= rules.cap_contacts
        for number, days in enumerate(cooldowns):
            same = [ts for ts, name in contacts if name == f"o{number}"]
            assert all(b - a >= days * DAY for a, b in pairwise(same))
    assert [action.decision_id for action in actions] == [d.decision_id for d in decisions if d.action_id]
    assert all(decision.holdout == in_holdout(decision.user_id, shop) for decision in decisions)


@given(STEPS, shops(), st.lists(st.sampled_from([0, 1, 30]), min_size=1, max_size=4))
def test_candidates_and_suppressed_are_the_catalogue_and_propensities_add_up(
    steps: list[Step], guardrails: dict[str, Any], cooldowns: list[float]
) -> None:
    for decision in live(steps, guardrails, cooldowns)[0]:
        candidates = {candidate.offer_id: candidate for candidate in decision.candidates}
        offers = [name for name in candidates if name] + [one.offer_id for one in decision.suppressed]
        assert sorted(offers) == [f"o{n}" for n in range(len(cooldowns))]
        assert next(iter(candidates)) is None
        assert len(candidates) == len(decision.candidates)
        assert abs(sum(c.propensity for c in decision.candidates) - 1) < 1e-12
        assert all(c.propensity == 0 or c.expected_value > 0 or c.offer_id is None for c in decision.candidates)
        assert decision.policy.propensity == candidates[decision.offer_id].propensity > 0
        assert (decision.offer_id is None) == (decision.action_id is None)


@given(STEPS, shops(), st.lists(st.sampled_from([0, 1, 30]), min_size=1, max_size=3))
def test_the_same_stream_gives_the_same_bytes(
    steps: list[Step], guardrails: dict[str, Any], cooldowns: list[float]
) -> None:
    one, other = live(steps, guardrails, cooldowns), live(steps, guardrails, cooldowns)
    assert [[r.model_dump_json() for r in records] for records in one] == [
        [r.model_dump_json() for r in records] for records in other
    ]
