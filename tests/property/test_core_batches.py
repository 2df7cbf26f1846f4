"""How a stream is cut into batches changes nothing: decisions, actions, dead letters and state are the same."""

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise

from hypothesis import given
from hypothesis import strategies as st
from support.builders import MODEL, answered, apply, catalogue, offer, partition, source, states
from support.fakes import Model, hashing_model
from support.streams import Told, records, told

from forestay.core.decision.catalogue import Catalogue
from forestay.core.decision.model_input import ModelInput
from forestay.core.record import SourceRecord
from forestay.core.rules import Rules
from forestay.core.units import HOUR

#: Everything a decision may look at: the country, the spend, contacts made before.
SHOP = catalogue(
    offer("germany", eligibility={"countries": ["DE"]}, cooldown_days=2),
    offer("dear", cost={"fixed": 1, "basket_share": 0.1}, effect=0.9, eligibility={"min_probability": 0.3}),
    offer("cheap", eligibility={"min_orders": 1, "min_spend": 5}, cooldown_days=0.5),
    cap_contacts=3,
    cap_days=10,
    cooldown_days=0.25,
    holdout=0.2,
    policy={"exploration": 0.3, "margin": 1.0},
)
RULES = [Rules(score_interval=0), Rules(score_interval=HOUR)]


def half_wrong(one: ModelInput) -> float:
    """A model that answers with no probability now and then."""
    return (hashing_model("b")(one) or 0.0) * 1.5


MODELS: list[Model] = [hashing_model("a"), lambda _: None, half_wrong]


def cut(items: Sequence[SourceRecord], cuts: Sequence[int]) -> Iterator[Sequence[SourceRecord]]:
    bounds = sorted({0, len(items), *(c % (len(items) + 1) for c in cuts)})
    for start, stop in pairwise(bounds):
        # A batch holds one topic's records.
        for _, batch in groupby(items[start:stop], key=lambda record: record.topic):
            yield list(batch)


def outcome(batches: Iterator[Sequence[SourceRecord]], rules: Rules, shop: Catalogue, model: Model) -> list[object]:
    core = partition(rules, shop)
    letters, decisions, actions = list[object](), list[str](), list[str]()
    for batch in batches:
        applied = apply(core, batch)
        answers = {s.decision_id: model(s.input) for s in applied.situations}
        settled = core.settle(applied.situations, answered(answers), MODEL)
        letters += applied.dead_letters
        decisions += [decision.model_dump_json() for decision in settled.decisions]
        actions += [action.model_dump_json() for action in settled.actions]
    return [letters, decisions, actions, states(core, rules), core.clock, core.watermark, core.positions]


@given(
    told(),
    st.lists(st.integers(0, 200)),
    st.sampled_from(RULES),
    st.sampled_from(MODELS),
    st.lists(st.integers(0, 40), max_size=3),
)
def test_batch_boundaries_change_nothing(
    stream: list[Told], cuts: list[int], rules: Rules, model: Model, broken: list[int]
) -> None:
    sources = records(stream)
    for at in broken:
        if at < len(sources):
            sources[at] = sources[at]._replace(value=b"{")
    whole = outcome(cut(sources, []), rules, SHOP, model)
    assert outcome(cut(sources, cuts), rules, SHOP, model) == whole
    assert outcome(iter([record] for record in sources), rules, SHOP, model) == whole


def test_a_decision_sees_the_user_as_they_were_and_not_as_the_batch_leaves_them() -> None:
    """Country and the rule's recency were once read when the batch had been applied."""
    first = {"event_id": "e1", "user_id": "u1", "event": "purchase", "ts": 10**12, "price": 90, "country": "DE"}
    second = first | {"event_id": "e2", "ts": 10**12 + 90 * 24 * HOUR, "country": "FR"}
    sources = [source(first, 0), source(second, 1)]
    together = outcome(iter([sources]), RULES[0], SHOP, lambda _: None)
    assert together == outcome(iter([[record] for record in sources]), RULES[0], SHOP, lambda _: None)
