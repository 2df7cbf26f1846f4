"""By the ledger, lives that crashed at any record are made again to the byte; whatever is altered is found."""

import json
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from support.builders import CLOCK_TOPIC, TOPIC, catalogue, click, offer, source
from support.fakes import hashing_model
from support.identity_world import World
from support.ledger_world import TOPICS, InMemory, again, lived, of_world, sources

from forestay.core.decision.answer import Answer, ModelIdentity
from forestay.core.decision.situation import Situation
from forestay.core.errors import ForestayError
from forestay.core.record import SourceRecord
from forestay.core.rules import Rules
from forestay.core.state.state_codec import MARK_KEY, decode_mark
from forestay.core.units import DAY, HOUR
from forestay.rerun.checked_scores import CheckedScores
from forestay.rerun.outputs import Kind
from forestay.rerun.readable import FieldChange
from forestay.rerun.scores import ModelScores
from forestay.trigger_file import DEFAULT_TRIGGERS, load_triggers
from forestay_schemas import LedgerCommit, LedgerRecord, LedgerStart

SHOP = catalogue(
    offer(
        "coupon", kind="loyalty", effect=0.6, cost={"basket_share": 0.05, "points": 9}, budgets=["points", "daily"]
    ),
    offer("mail", effect=0.2),
    cap_contacts=3,
    cap_days=20,
    policy={"exploration": 0.4, "margin": 1.0},
    budgets=[{"id": "daily", "limit": 300}, {"id": "points", "unit": "points", "limit": 20}],
)
RULES = Rules(score_max_age=2 * DAY, score_interval=0, patterns=load_triggers(DEFAULT_TRIGGERS).rules())


def world(seed: int, crashes: int = 4) -> InMemory:
    random = Random(seed)
    rules = RULES._replace(live_users=random.choice([1, 1_000]))
    return lived(sources(random), rules, SHOP, random, crashes)


@pytest.mark.parametrize("seed", range(25))
def test_lives_that_crashed_anywhere_are_made_again_to_the_byte(seed: int) -> None:
    recordings = world(seed)
    found = again(recordings, RULES, SHOP)
    assert found.divergence is None
    decided = {row.value for row in recordings.logs[TOPICS.decisions]}
    made = set(found.kept.values(Kind.DECISIONS))
    assert made <= decided
    # What a batch without an entry decided was taken as made by the life after it.
    assert len(made) + found.run.taken.as_made >= len(decided) > 0
    assert found.run.taken.starts >= 1


def test_some_of_these_lives_went_back_and_took_decisions_as_made() -> None:
    taken = [again(world(seed), RULES, SHOP).run.taken for seed in range(6)]
    assert sum(one.as_made for one in taken) > 0
    entries = [LedgerRecord.model_validate_json(row.value or b"").root for row in world(0).logs[TOPICS.ledger]]
    assert sum(isinstance(entry, LedgerStart) for entry in entries) > 1


@pytest.mark.parametrize("seed", range(8))
def test_an_altered_decision_is_named_with_its_batch(seed: int) -> None:
    recordings = world(seed, crashes=0)
    rows = recordings.logs[TOPICS.decisions]
    place = Random(seed).randrange(len(rows))
    value = json.loads(rows[place].value or b"")
    value["holdout"] = not value["holdout"]
    rows[place] = rows[place]._replace(value=json.dumps(value, separators=(",", ":")).encode())
    found = again(recordings, RULES, SHOP).divergence
    assert found is not None
    trigger = value["trigger"]
    assert (found.place.topic, found.record) == (trigger["topic"], value["decision_id"])
    assert found.place.begin is not None
    assert found.place.end is not None
    assert found.place.begin <= trigger["offset"] < found.place.end
    assert found.fields == [FieldChange("holdout", json.dumps(value["holdout"]), json.dumps(not value["holdout"]))]
    assert found.causes == [
        "the recording of retention-decisions is not what is made: it was altered, or is of another run"
    ]


def test_an_altered_event_is_named_with_what_it_changed() -> None:
    recordings = world(1, crashes=0)
    rows = recordings.logs[TOPIC]
    place = next(n for n, row in enumerate(rows) if b"purchase" in (row.value or b"") and n > 20)
    rows[place] = rows[place]._replace(value=(rows[place].value or b"").replace(b"purchase", b"view_item"))
    found = again(recordings, RULES, SHOP).divergence
    assert found is not None
    assert found.place.offset >= 0
    assert any("another input" in cause for cause in found.causes) or found.what == "state"


def test_rows_that_are_missing_are_named() -> None:
    recordings = world(2, crashes=0)
    del recordings.logs[TOPIC][30:]
    found = again(recordings, RULES, SHOP).divergence
    assert found is not None
    assert "the recordings hold no clickstream-0 from offset 30" in found.causes[0]


def test_other_settings_are_told_as_the_cause() -> None:
    dearer = catalogue(offer("coupon", effect=0.9), offer("mail", effect=0.2), policy={"margin": 1.0})
    found = again(world(3), RULES, dearer, digest="1" * 32).divergence
    assert found is not None
    assert found.what in {"decisions", "actions"}
    assert found.causes[0].startswith("the settings are others (digest")
    assert "policy.version" in {field.path for field in found.fields}
    assert any("first difference in partition 0, the batch at" in line for line in found.lines())


def test_a_decision_nobody_made_is_found_at_the_end() -> None:
    recordings = world(4, crashes=0)
    rows = recordings.logs[TOPICS.decisions]
    value = json.loads(rows[0].value or b"") | {"decision_id": "0" * 32}
    extra = rows[0]._replace(offset=0, value=json.dumps(value).encode())
    recordings.logs[TOPICS.decisions] = [extra, *rows[1:], rows[0]._replace(offset=len(rows))]
    found = again(recordings, RULES, SHOP).divergence
    assert found is not None
    assert (found.place.words(), found.record) == ("partition 0, at the end of the ledger", "0" * 32)


def test_entries_of_a_former_owner_count_for_nothing() -> None:
    recordings = world(5, crashes=0)
    rows = recordings.logs[TOPICS.ledger]
    entries = [json.loads(row.value or b"") for row in rows]
    late = entries[2] | {"generation": entries[2]["generation"] + 1}
    values = [*(row.value for row in rows[:3]), json.dumps(late).encode(), *(row.value for row in rows[3:])]
    recordings.logs[TOPICS.ledger] = [
        SourceRecord(TOPICS.ledger, 0, offset, -1, None, value) for offset, value in enumerate(values)
    ]
    found = again(recordings, RULES, SHOP)
    assert (found.divergence, found.run.taken.ignored) == (None, 1)


def test_a_ledger_that_begins_with_state_says_what_is_needed() -> None:
    recordings = world(6, crashes=0)
    rows = recordings.logs[TOPICS.ledger]
    recordings.logs[TOPICS.ledger] = rows[1:]
    state = recordings.logs.pop(TOPICS.state)
    with pytest.raises(ForestayError, match="record forestay-user-state-changelog too"):
        again(recordings, RULES, SHOP)
    # Of a time after all that is recorded of the ledger.
    recordings.logs |= {TOPICS.state: state, TOPICS.ledger: rows[1:4]}
    with pytest.raises(ForestayError, match=r"no commit in the recorded ledger of partitions \[0\] has"):
        again(recordings, RULES, SHOP)


@pytest.mark.parametrize("seed", range(12))
def test_a_rerun_begins_in_the_middle_with_the_recorded_state(seed: int) -> None:
    """The ledger from some entry on, the changelog to some record after it, as a recorder finds them."""
    recordings, random = world(seed, crashes=2), Random(seed)
    whole = again(recordings, RULES, SHOP)
    state = recordings.logs[TOPICS.state]
    marks = [n for n, row in enumerate(state) if row.key == MARK_KEY]
    mark = random.choice(marks[:-1])
    recordings.logs[TOPICS.state] = state[: mark + random.randint(1, 3)]
    last = next(row.value for row in reversed(recordings.logs[TOPICS.state]) if row.key == MARK_KEY)
    positions = decode_mark(last or b"").positions
    ledger = recordings.logs[TOPICS.ledger]
    entries = [LedgerRecord.model_validate_json(row.value or b"").root for row in ledger]
    begin = next(n for n, one in enumerate(entries) if isinstance(one, LedgerCommit) and one.positions == positions)
    recordings.logs[TOPICS.ledger] = ledger[random.randint(1, begin) :]
    found = again(recordings, RULES, SHOP)
    assert found.divergence is None
    made, before = found.kept.values(Kind.DECISIONS), whole.kept.values(Kind.DECISIONS)
    assert made == before[len(before) - len(made) :]
    assert found.run.taken.batches < whole.run.taken.batches


class _Off:
    """A model that is a little off what was recorded."""

    def __init__(self, by: float, version: str = "7") -> None:
        self._scores = ModelScores(
            lambda one: min((hashing_model("a")(one) or 0.0) + by, 1.0),
            ModelIdentity("churn_transformer", version, 60),
        )

    def answer(self, situations: Sequence[Situation]) -> list[Answer]:
        return self._scores.answer(situations)


@pytest.mark.parametrize(
    ("off", "version", "agrees"), [(0.0, "7", True), (5e-6, "7", True), (1e-3, "7", False), (0.0, "8", False)]
)
def test_a_model_asked_again_agrees_within_the_tolerance(off: float, version: str, agrees: bool) -> None:
    clicks = [source(click(f"e{n}", ts=1_700_000_000_000 + n * DAY), n) for n in range(9)]

    class Always(Random):
        def choice(self, seq: Any) -> Any:
            return seq[0]

    recordings = lived(clicks, RULES, SHOP, Always(1), 0)
    scores = CheckedScores(_Off(off, version), 1e-5)
    found = again(recordings, RULES, SHOP, scores=scores).divergence
    assert (found is None) == agrees
    if found is None:
        assert scores.asked == 9
        assert scores.largest == pytest.approx(off, abs=1e-6)
    else:
        assert found.causes[0].startswith(f"the model (version {version}) gives ")
        assert {"churn.probability", "churn.version"} & {field.path for field in found.fields}


def test_clock_and_clickstream_are_taken_in_the_order_of_the_ledger() -> None:
    recordings = world(7, crashes=2)
    assert recordings.logs[CLOCK_TOPIC]
    assert again(recordings, RULES, SHOP).divergence is None


@pytest.mark.parametrize("seed", range(12))
def test_ids_that_met_over_partitions_meet_again(seed: int) -> None:
    """Three partitions that die at any record, and bring ids together meanwhile."""
    random = Random(seed)
    placed = {f"u{n}": random.randrange(3) for n in range(3)} | {f"a{n}": random.randrange(3) for n in range(3)}
    rules = Rules(score_interval=HOUR, live_users=random.choice([1, 1_000]))
    shop_world = World(placed, rules, SHOP, hashing_model("a"), random)
    now = 1_700_000_000_000
    for part in range(2):
        clicks = []
        for number in range(15):
            now += random.choice([0, HOUR, DAY, 4 * DAY])
            user = random.choice(sorted(placed))
            more = {"anonymous_id": random.choice(["a0", "a1", "a2"])} if random.random() < 0.3 else {}
            clicks.append(click(f"e{part}-{number}", user, "purchase", now, price=9, quantity=1, **more))
        shop_world.send(clicks)
        shop_world.run(3, orderly=part == 1)
    found = again(
        of_world(shop_world), rules, SHOP, place=lambda key: placed[key.decode()], partitions=shop_world.partitions
    )
    assert found.divergence is None
    assert found.run.taken.starts > 3
