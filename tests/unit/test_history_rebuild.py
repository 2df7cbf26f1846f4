"""States from history: any order of rows, each event once, new families, and nothing known lost."""

import json
import random
from collections.abc import Sequence
from typing import Any, cast

import pytest
from support.builders import START, Click, apply, click, feature, lived, partition, stream, user
from support.features import features_of

from forestay import compiled
from forestay.core import feature_set
from forestay.core.event import NEVER, Event
from forestay.core.families.family import Family, Feature, Part
from forestay.core.feature_set import FAMILY_NAMES, FeatureSet
from forestay.core.packing import RecordReader, RecordWriter
from forestay.core.patterns.pattern_rules import Triggers
from forestay.core.patterns.patterns import PatternMemory, PatternRules
from forestay.core.rules import Rules
from forestay.core.state.consent import Consent
from forestay.core.state.contact import Contact
from forestay.core.state.state_codec import decode_user, encode_user
from forestay.core.state.user_state import UserState
from forestay.core.units import DAY, HOUR, MINUTE
from forestay.history.fill import Filled, Filler, Times
from forestay.history.rebuild import rebuilt
from forestay.history.told import Told

RULES = Rules()
LATER = START + 40 * DAY


def told(clicks: Sequence[Click]) -> list[Told]:
    """Events as a file tells them."""
    return [Told(one["user_id"], one["ts"], NEVER, json.dumps(one).encode()) for one in clicks]


def from_topic(clicks: Sequence[Click]) -> list[Told]:
    """Events as the topic tells them: with their offsets, and how far the partition had come."""
    found, watermark = [], 0
    for offset, one in enumerate(clicks):
        found.append(Told(one["user_id"], offset, watermark, json.dumps(one).encode()))
        watermark = max(watermark, one["ts"])
    return found


def alone(history: Sequence[Told], rules: Rules, clock: int) -> UserState | None:
    """Returns the state of a user with one id."""
    return rebuilt("u1", {"u1": history}, rules, clock)


def record(state: UserState, rules: Rules = RULES, due: int = NEVER) -> bytes:
    return encode_user(state, rules.features, state.last_ts - rules.lateness, rules.lateness, due)


def written_ids(state: UserState) -> bytes:
    writer = RecordWriter()
    state.event_ids.write(writer, state.last_ts, 0)
    return writer.written()


def written_patterns(memory: PatternMemory) -> bytes:
    writer = RecordWriter()
    memory.write(writer)
    return writer.written()


def year(seed: int) -> list[Click]:
    """Two hundred events of a year, some of them lines of one order."""
    chance = random.Random(seed)
    kinds = ["page_view", "view_item", "add_to_cart", "remove_from_cart", "purchase", "refund"]
    clicks = []
    for number in range(200):
        ts = START + chance.randrange(365 * DAY)
        more: dict[str, Any] = {"item_id": f"i{chance.randrange(9)}", "price": chance.randrange(900) / 8}
        if chance.random() < 0.3:
            more["order_id"] = f"o{chance.randrange(20)}"
        clicks.append(click(f"e{number}", "u1", chance.choice(kinds), ts, **more))
    return clicks


def test_the_order_of_rows_and_repeats_change_nothing() -> None:
    clicks = year(1)
    expected = record(cast(UserState, alone(told(clicks), RULES, LATER)))
    for seed in range(3):
        shuffled = [*clicks, *clicks[:50]]
        random.Random(seed).shuffle(shuffled)
        assert record(cast(UserState, alone(told(shuffled), RULES, LATER))) == expected


def test_a_silence_longer_than_the_horizon_begins_a_new_user() -> None:
    early = click("e1", event="purchase", ts=START, price=5)
    late = click("e2", ts=START + RULES.idle + 1)
    state = alone(told([late, early]), RULES, late["ts"])
    assert state is not None
    assert (state.applied, state.last_ts) == (1, late["ts"])


def test_what_came_too_late_for_the_topic_does_not_count_but_in_a_file_it_does() -> None:
    clicks = [click("e1", ts=START), click("e2", ts=START - RULES.lateness - 1)]
    of_topic, of_file = alone(from_topic(clicks), RULES, LATER), alone(told(clicks), RULES, LATER)
    assert of_topic is not None
    assert of_file is not None
    assert (of_topic.applied, of_file.applied) == (1, 2)


def test_nothing_that_counts_is_no_state() -> None:
    assert alone([], RULES, LATER) is None


def patterns() -> PatternRules:
    abandoned = {"name": "cart", "when": "add_to_cart", "unless": "purchase", "after": "1h", "again_after": "30d"}
    return Triggers.model_validate({"triggers": [abandoned]}).rules()


def test_a_worker_and_its_topic_make_the_same_record() -> None:
    rules = Rules(score_on=frozenset(), patterns=patterns())
    clicks = sorted(
        [*year(2), click("e900", event="add_to_cart", ts=START + 366 * DAY)], key=lambda one: int(one["ts"])
    )
    # Some arrive late, within the lateness.
    clicks[10:14] = reversed(clicks[10:14])
    core = partition(rules)
    applied = apply(core, stream(*clicks))
    state = user(core)
    fresh = alone(from_topic(clicks), rules, core.clock)
    assert len(applied.dead_letters) < 4
    assert fresh is not None
    assert written_ids(fresh) == written_ids(state)
    assert fresh.orders == state.orders
    assert fresh.patterns is not None
    assert state.patterns is not None
    for one in (fresh, state):
        assert one.patterns is not None
        # A worker forgets at each look, history only here.
        one.patterns.forget(core.watermark - rules.lateness, rules.patterns)
    assert not state.patterns.is_empty()
    assert written_patterns(fresh.patterns) == written_patterns(state.patterns)
    assert features_of(fresh, rules.features, LATER + 400 * DAY) == features_of(
        state, rules.features, LATER + 400 * DAY
    )


# -- filling ---------------------------------------------------------------------------------------------


def fill(
    before: UserState,
    clicks: list[Told],
    rules: Rules = RULES,
    families: set[str] | None = None,
    now: int = LATER,
) -> Filled:
    """Fills a state when its partition has come to `now`."""
    filled = Filler(rules, families).fill("u1", record(before, rules), {"u1": clicks}, Times(now, now))
    assert filled is not None
    return filled


def fewer(clicks: list[Click], rules: Rules = RULES) -> UserState:
    """The state of a worker that kept two families only, as one with all reads it."""
    features = FeatureSet(("recency", "lifetime"))
    core = partition(rules._replace(features=features, score_on=frozenset()))
    apply(core, stream(*clicks))
    written = encode_user(user(core), features, 0, rules.lateness, NEVER)
    return decode_user(written, rules.features)


CLICKS = [
    click("e1", event="add_to_cart", ts=START, item_id="i1", price=2, quantity=3),
    click("e2", event="view_item", ts=START + MINUTE, item_id="i2"),
    click("e3", event="purchase", ts=START + HOUR, item_id="i3", price=7, order_id="o1"),
    click("e4", event="add_to_cart", ts=START + 2 * HOUR, item_id="i4", price=2, quantity=3),
]


def test_switched_on_families_are_filled_and_the_rest_of_the_state_stays() -> None:
    before = fewer(CLICKS)
    before.contacts = [Contact(START + HOUR, "offer")]
    before.country, before.country_ts = "DE", START
    filled = fill(before, from_topic(CLICKS))
    assert filled.record is not None
    after = decode_user(filled.record, RULES.features)
    assert features_of(after, RULES.features, LATER) == features_of(lived(*CLICKS), RULES.features, LATER)
    assert features_of(before, RULES.features, LATER) != features_of(after, RULES.features, LATER)
    assert [(one.ts, one.offer_id) for one in after.contacts] == [(START + HOUR, "offer")]
    assert (after.offset, after.applied, after.country) == (3, 4, "DE")


def test_words_of_consent_are_taken_over_however_old_and_no_newer_one_is_undone() -> None:
    said = [
        click("w1", event="consent_withdrawn", ts=START - 90 * DAY, channel="sms"),
        click("w2", event="consent_granted", ts=START, channel="email"),
        click("w3", event="consent_granted", ts=START),
    ]
    before = fewer(CLICKS)
    before.consents = [Consent("email", START + 1, granted=False)]
    filled = fill(before, told([*CLICKS, *said]))
    assert filled.record is not None
    after = decode_user(filled.record, RULES.features)
    words = [(one.channel, one.ts, one.granted) for one in after.consents]
    assert words == [("email", START + 1, False), ("sms", START - 90 * DAY, False)]
    assert after.applied == 4
    assert features_of(after, RULES.features, LATER) == features_of(lived(*CLICKS), RULES.features, LATER)
    core = partition()
    apply(core, stream(*CLICKS, *said))
    anew = alone(from_topic([*CLICKS, *said]), RULES, START + 3 * HOUR)
    assert anew is not None
    assert [one.ts for one in anew.consents] == [one.ts for one in user(core).consents] == [START, START - 90 * DAY]
    assert alone(told(said), RULES, LATER) is None


def test_filling_twice_changes_nothing_the_second_time() -> None:
    first = fill(fewer(CLICKS), from_topic(CLICKS))
    assert first.record is not None
    again = Filler(RULES, None).fill("u1", first.record, {"u1": from_topic(CLICKS)}, Times(LATER, LATER))
    assert again is not None
    assert again.record is None


def test_only_the_families_named_are_filled() -> None:
    filled = fill(fewer(CLICKS), from_topic(CLICKS), families={"cart"})
    values = dict(zip(RULES.features.names, features_of(filled.after, RULES.features, START + 3 * HOUR), strict=True))
    assert values["cart_quantity"] == 3
    assert values["distinct_items_1d"] == 0


def test_where_history_is_short_nothing_known_is_lost() -> None:
    before = lived(*CLICKS[:3])
    before.offset = 9
    filled = fill(before, told(CLICKS[1:2]))
    assert filled.is_short
    assert filled.record is None


def test_events_after_the_states_offset_are_left_to_the_worker() -> None:
    before = fewer(CLICKS[:2])
    filled = fill(before, from_topic(CLICKS))
    assert filled.after.last_ts == CLICKS[1]["ts"]
    assert features_of(filled.after, RULES.features, LATER) == features_of(lived(*CLICKS[:2]), RULES.features, LATER)


def test_an_order_and_an_event_id_of_two_ids_are_filled_once_for_each() -> None:
    mine = [click(f"e{n}", "u1", "purchase", START + n, order_id="o1", price=3) for n in range(2)]
    theirs = [one | {"user_id": "d"} for one in mine]
    filled = Filler(RULES, None).fill(
        "u1", None, {"d": told([*theirs, *theirs]), "u1": told(mine)}, Times(LATER, LATER)
    )
    assert filled is not None
    assert [feature(filled.after, name) for name in ("events_total", "orders_total", "spend_total")] == [4, 2, 12]
    without = Filler(RULES, None).fill("u1", None, {"d": told(theirs)}, Times(LATER, LATER))
    assert without is not None
    # They stay with the id they came with.
    assert (without.after.applied, without.after.orders) == (2, {})


def test_a_firing_that_was_is_not_forgotten() -> None:
    rules = RULES._replace(patterns=patterns())
    before = fewer(CLICKS, rules)
    assert before.patterns is not None
    due = before.patterns.next_due(rules.patterns)
    before.patterns.fire(due, rules.patterns)
    # History without the event that led to it.
    filled = fill(before, told([*CLICKS[:3], click("e5", ts=START + 3 * HOUR)]), rules, now=due)
    assert filled.after.patterns is not None
    filled.after.patterns.update(Event(b"e9", "u1", 4, due + DAY, []), rules.patterns)
    assert filled.after.patterns.next_due(rules.patterns) == NEVER


def test_an_unknown_user_is_added_from_files_and_not_from_the_topic() -> None:
    filler, times = Filler(RULES, None), Times(LATER, LATER)
    assert filler.fill("u1", None, {"u1": from_topic(CLICKS)}, times) is None
    filled = filler.fill("u1", None, {"u1": told(CLICKS)}, times)
    assert filled is not None
    assert filled.record is not None
    after = decode_user(filled.record, RULES.features)
    assert (after.offset, after.applied, after.seen_clock) == (-1, 4, LATER)
    assert filler.fill("u1", None, {"u1": told(CLICKS)}, Times(START + 900 * DAY, LATER)) is None


# -- a family of one's own ---------------------------------------------------------------------------------


class Evening(Family):
    """How many events came after 18:00 UTC."""

    def __init__(self) -> None:
        super().__init__(63, "evening", [Feature("evening_events", "events after 18:00 UTC", "count")])

    def new(self) -> Part:
        return EveningPart()

    def read(self, reader: RecordReader, latest: int) -> Part:  # noqa: ARG002 - one signature for all
        part = EveningPart()
        part.count = reader.number()
        return part


class EveningPart(Part):
    def __init__(self) -> None:
        self.count = 0

    def update(self, event: Event, latest: int) -> None:  # noqa: ARG002 - one signature for all
        self.count += event.ts % DAY >= 18 * HOUR

    def merge(self, other: Part, latest: int) -> None:  # noqa: ARG002 - one signature for all
        self.count += cast(EveningPart, other).count

    def values(self, now: int, latest: int, into: list[float]) -> None:  # noqa: ARG002 - one signature for all
        into.append(float(self.count))

    def write(self, writer: RecordWriter, latest: int, now: int) -> None:  # noqa: ARG002 - one signature for all
        if self.count:
            writer.number(self.count)


@pytest.fixture
def with_evening(monkeypatch: pytest.MonkeyPatch) -> FeatureSet:
    """The one line that a new family takes in `core/feature_set.py`."""
    known = feature_set._families
    monkeypatch.setattr(feature_set, "_families", lambda windows: [*known(windows), Evening()])
    return FeatureSet((*FAMILY_NAMES, "evening"))


@pytest.mark.skipif(compiled.form().name == "compiled", reason="a compiled family cannot be subclassed by a test")
def test_a_new_family_is_filled_by_the_same_function(with_evening: FeatureSet) -> None:
    clicks = [click(f"e{hour}", ts=START + hour * HOUR) for hour in range(48)]
    core = partition(Rules(score_on=frozenset()))
    apply(core, stream(*clicks))
    before = encode_user(user(core), RULES.features, 0, RULES.lateness, NEVER)
    rules = Rules(features=with_evening)
    filled = Filler(rules, {"evening"}).fill("u1", before, {"u1": from_topic(clicks)}, Times(LATER, LATER))
    assert filled is not None
    assert filled.record is not None
    after = decode_user(filled.record, with_evening)
    assert features_of(after, with_evening, LATER)[-1] == 12
    assert features_of(after, with_evening, LATER)[:-1] == features_of(user(core), RULES.features, LATER)
