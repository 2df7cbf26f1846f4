"""Any state a stream leads to survives its record, and any damage to the record is noticed or harmless."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st
from support.builders import CLOCK_TOPIC, MODEL, catalogue, offer, partition
from support.fakes import hashing_model
from support.streams import Told, records, told

from forestay.core.errors import StateError
from forestay.core.partition import Partition
from forestay.core.rules import Rules
from forestay.core.state_codec import MARK_KEY, decode_mark, decode_user, encode_user
from forestay.core.user_state import UserState

SHOP = catalogue(offer("a"), offer("b", effect=0.3), cooldown_days=1, policy={"exploration": 0.5})
RULES = Rules(score_interval=0)


def lived(stream: list[Told]) -> Partition:
    core, answer = partition(RULES, SHOP), hashing_model("a")
    for record in records(stream):
        found = core.apply([record]).situations
        core.settle(found, {s.decision_id: answer(s.input) or 0.0 for s in found}, MODEL)
    return core


@given(told())
def test_every_state_reached_survives_its_record(stream: list[Told]) -> None:
    for state in lived(stream).users.values():
        record = encode_user(state)
        assert decode_user(record) == state
        assert encode_user(decode_user(record)) == record


@given(told(), st.integers(0, 40))
def test_a_restart_between_any_two_records_changes_nothing(stream: list[Told], at: int) -> None:
    whole = lived(stream)
    before, after = lived(stream[:at]), records(stream)[at:]
    durable = {record.key: record.value or b"" for record in before.checkpoint(0, 1)}
    mark = decode_mark(durable.pop(MARK_KEY))
    assert durable.keys() == {user.encode() for user in before.users}
    core, answer = Partition(0, CLOCK_TOPIC, RULES, SHOP), hashing_model("a")
    core.restore({(key or b"").decode(): decode_user(value) for key, value in durable.items()}, mark)
    assert (core.clock, core.positions) == (before.clock, before.positions)
    for record in after:
        found = core.apply([record]).situations
        core.settle(found, {s.decision_id: answer(s.input) or 0.0 for s in found}, MODEL)
    assert {u: encode_user(s) for u, s in core.users.items()} == {u: encode_user(s) for u, s in whole.users.items()}


@given(told(most=12), st.data())
def test_damaged_bytes_give_a_state_or_a_state_error_and_nothing_else(
    stream: list[Told], data: st.DataObject
) -> None:
    state = next(iter(lived(stream).users.values()), UserState(partition=0))
    record = bytearray(encode_user(state))
    for _ in range(data.draw(st.integers(1, 4))):
        record[data.draw(st.integers(0, len(record) - 1))] = data.draw(st.integers(0, 255))
    with suppress(StateError):
        assert isinstance(decode_user(bytes(record)), UserState)


def test_a_checkpoint_holds_only_what_changed_in_a_stable_order() -> None:
    core = lived([])
    stream: list[Told] = [
        {"event_id": f"e{n}", "user_id": user, "event": "login", "ts": 1 + n} for n, user in enumerate("cab")
    ]
    core.apply(records(stream))
    assert [record.key for record in core.checkpoint(0, 0)] == [b"a", b"b", b"c", MARK_KEY]
    assert [record.key for record in core.checkpoint(0, 0)] == [MARK_KEY]
