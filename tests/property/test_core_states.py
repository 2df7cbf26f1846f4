"""Any state a stream leads to survives its record, wherever it is written, and any damage is noticed or harmless."""

from contextlib import suppress
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from support.builders import (
    MODEL,
    answered,
    apply,
    catalogue,
    encoded,
    lived,
    offer,
    partition,
    restored,
    states,
    user,
)
from support.fakes import hashing_model
from support.streams import Told, records, told

from forestay.core.errors import StateError
from forestay.core.event import EVENT_CODES
from forestay.core.feature_set import DEFAULT_FEATURES
from forestay.core.feature_stream import FeatureStream
from forestay.core.partition import Partition
from forestay.core.record import OutputRecord, SourceRecord
from forestay.core.rules import Rules
from forestay.core.state.state_codec import MARK_KEY, decode_user
from forestay.core.state.user_state import UserState
from forestay.core.units import DAY, HOUR
from forestay.trigger_file import DEFAULT_TRIGGERS, load_triggers

SHOP = catalogue(offer("a"), offer("b", effect=0.3), cooldown_days=1, policy={"exploration": 0.5})
#: Everything that can be on is on, and nobody scores so often that patterns have no place.
RULES = Rules(
    score_interval=0,
    score_on=frozenset({EVENT_CODES["purchase"], EVENT_CODES["view_item"]}),
    dead_letter_limit=1.0,
    patterns=load_triggers(DEFAULT_TRIGGERS).rules(),
    feature_stream=FeatureStream(frozenset({EVENT_CODES["purchase"]}), ()),
)
LATENESS = st.sampled_from([HOUR, DAY, 3 * DAY, 30 * DAY])


class Outputs(NamedTuple):
    """Everything a partition asks to be written, in order."""

    decisions: list[str]
    actions: list[str]
    dead_letters: list[OutputRecord]
    features: list[OutputRecord]


def live(core: Partition, stream: list[SourceRecord], into: Outputs) -> None:
    """Takes records through the core one by one."""
    answer = hashing_model("a")
    for record in stream:
        applied = apply(core, [record])
        found = applied.situations
        settled = core.settle(found, answered({s.decision_id: answer(s.input) for s in found}), MODEL)
        into.decisions.extend(decision.model_dump_json() for decision in settled.decisions)
        into.actions.extend(action.model_dump_json() for action in settled.actions)
        into.dead_letters.extend(applied.dead_letters)
        into.features.extend(applied.features)


def ended(stream: list[Told], rules: Rules = RULES) -> Partition:
    core = partition(rules, SHOP)
    live(core, records(stream), Outputs([], [], [], []))
    return core


@given(told())
def test_every_state_reached_survives_its_record(stream: list[Told]) -> None:
    core = ended(stream)
    for user_id, record in states(core, RULES).items():
        again = decode_user(record, DEFAULT_FEATURES)
        assert encoded(again, RULES, watermark=core.watermark) == record
        state = user(core, user_id)
        now = max(state.last_ts, state.scored_ts, core.clock)
        values = [DEFAULT_FEATURES.values(one.parts, now, one.last_ts) for one in (state, again)]
        assert values[0] == values[1]


@given(told(), st.integers(0, 40), LATENESS)
def test_a_restart_between_any_two_records_changes_nothing(stream: list[Told], at: int, lateness: int) -> None:
    rules = RULES._replace(lateness=lateness)
    sources = records(stream)
    whole, seen, rest = partition(rules, SHOP), Outputs([], [], [], []), Outputs([], [], [], [])
    live(whole, sources[:at], Outputs([], [], [], []))
    live(whole, sources[at:], seen)
    before = partition(rules, SHOP)
    live(before, sources[:at], Outputs([], [], [], []))
    durable = before.checkpoint(0, 1)
    core = restored(durable, rules, SHOP)
    assert (core.clock, core.watermark, core.positions) == (before.clock, before.watermark, before.positions)
    assert core.users.ids() == before.users.ids()
    live(core, sources[at:], rest)
    assert rest == seen
    assert states(core, rules) == states(whole, rules)


@given(told(users=6), LATENESS, st.integers(1, 7))
def test_who_is_packed_and_who_is_live_makes_no_difference(stream: list[Told], lateness: int, commit: int) -> None:
    """Bytes of decisions, actions, dead letters, features and state records: all the same."""
    outcomes = []
    for live_users in (1, 3, 1_000):
        rules = RULES._replace(lateness=lateness, live_users=live_users)
        core, outputs, durable = partition(rules, SHOP), Outputs([], [], [], []), list[OutputRecord]()
        for number, record in enumerate(records(stream)):
            live(core, [record], outputs)
            if number % commit == 0:
                durable += core.checkpoint(0, 1)
        durable += core.checkpoint(0, 1)
        outcomes.append((outputs, durable, states(core, rules)))
    assert outcomes[0] == outcomes[2]
    assert outcomes[1] == outcomes[2]


@given(told(most=12), st.data())
def test_damaged_bytes_give_a_state_or_a_state_error_and_nothing_else(
    stream: list[Told], data: st.DataObject
) -> None:
    record = bytearray(next(iter(states(ended(stream), RULES).values()), encoded(lived())))
    for _ in range(data.draw(st.integers(1, 4))):
        record[data.draw(st.integers(0, len(record) - 1))] = data.draw(st.integers(0, 255))
    with suppress(StateError):
        assert isinstance(decode_user(bytes(record), DEFAULT_FEATURES), UserState)


def test_a_checkpoint_holds_only_what_changed_in_a_stable_order() -> None:
    core = ended([])
    stream: list[Told] = [
        {"event_id": f"e{n}", "user_id": user_id, "event": "login", "ts": 1 + n} for n, user_id in enumerate("cab")
    ]
    apply(core, records(stream))
    assert [record.key for record in core.checkpoint(0, 0)] == [b"a", b"b", b"c", MARK_KEY]
    assert [record.key for record in core.checkpoint(0, 0)] == [MARK_KEY]
