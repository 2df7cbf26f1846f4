"""Whatever bytes stand in a user's record: a state that can be lived with, or a `StateError`, and nothing else.

A changelog may be damaged, and the identity topic brings records of other partitions.
"""

import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

import pytest
from support.builders import START, Click, catalogue, click, encoded, lived, offer, partition, settle, stream
from support.features import features_of
from support.replaying import RECORDING

from forestay.core.clock.schedule import Schedule
from forestay.core.decision.model_input import model_input
from forestay.core.errors import StateError
from forestay.core.event import EVENT_NAMES, from_contract
from forestay.core.feature_set import DEFAULT_FEATURES
from forestay.core.identity.merge import merge
from forestay.core.patterns.patterns import PatternMemory
from forestay.core.record import SourceRecord
from forestay.core.rules import Rules
from forestay.core.state.identity import Identity
from forestay.core.state.state_codec import MARK_KEY, decode_user, encode_user
from forestay.core.state.user_state import UserState, apply_event
from forestay.core.units import DAY, HOUR, MINUTE
from forestay.recording import open_recording
from forestay.trigger_file import DEFAULT_TRIGGERS, load_triggers
from forestay_schemas import ClickEvent

RULES: Final = Rules(patterns=load_triggers(DEFAULT_TRIGGERS).rules(), dead_letter_limit=1.0)
SCHEDULE: Final = Schedule(RULES.features, RULES.patterns, RULES.idle)
HEADER: Final = b"\x02\xff\xff\xff\xff"
OLD: Final = (Path(__file__).parents[1] / "data" / "state_v1" / "user.bin").read_bytes()
#: What is put in place of other bytes: numbers at their edges, and what is none.
EDGES: Final = [
    *(b"", b"\x00", b"\x01", b"\x02", b"\x7f", b"\x80", b"\x80\x01", b"\xff", b"\x00" * 9, b"\xff" * 12),
    *(b"\xfe" + b"\xff" * 7 + b"\x7f", b"\xff" * 8 + b"\x7f", b"\xfe" + b"\xff" * 7 + b"\x3f", b"\xff" * 6 + b"\x01"),
]
#: Mutations of one test; there are as many tests as rounds.
MUTATIONS: Final = 250
ROUNDS: Final = 16


def written(state: UserState) -> bytes:
    oldest = max(state.event_ids.latest, 0) - RULES.lateness
    return encode_user(state, RULES.features, oldest, RULES.lateness, SCHEDULE.due(state))


def shop() -> list[bytes]:
    """The records of the recorded shop's users, the shortest first."""
    sources: dict[int, list[SourceRecord]] = {}
    for message in open_recording(RECORDING):
        sources.setdefault(message.partition, []).append(message)
    kept: list[bytes] = []
    for records in sources.values():
        core = partition(RULES, catalogue(offer("a")))
        settle(core, records)
        kept += [record.value for record in core.checkpoint(0, 0) if record.key != MARK_KEY and record.value]
    return sorted(kept, key=len)


def busy() -> bytes:
    """The record of a user who has all that a user can have, and nearly as much of it as is kept."""
    clicks: list[Click] = []
    for n in range(700):
        items = [{"item_id": f"i{n % 150 + k}", "category": f"c{n % 70}", "price": n / 7 + k} for k in range(n % 4)]
        kind = EVENT_NAMES[n % len(EVENT_NAMES)]
        ts = START + n * 50 * MINUTE + n % 3
        clicks.append(
            click(f"e{n}", event=kind, ts=ts, items=items, order_id=f"o{n // 3}", country="DE", timezone="UTC")
        )
    clicks += [click(f"f{n}", event="view_item", ts=clicks[-1]["ts"] + n * MINUTE, item_id="i7") for n in range(40)]
    core = partition(RULES, catalogue(offer("a")))
    settle(core, stream(*clicks), 0.7)
    state = core.users.get("u1")
    assert state is not None
    state.identity = Identity()
    state.identity.ask("other")
    state.identity.take("another", 7)
    return written(state)


@cache
def real() -> list[bytes]:
    """Records to damage: of the recorded shop from the shortest to the longest, a busy user's, and nobody's."""
    found = shop()
    return [*found[:: max(len(found) // 6, 1)], found[-1], busy(), encoded(lived())]


def damaged(record: bytes, chance: random.Random) -> bytes:
    """Returns the record behind its header with some places changed, cut, moved or put in."""
    kept = bytearray(record[len(HEADER) :])
    for _ in range(chance.choice([1, 1, 1, 2, 5])):
        at, length = chance.randrange(len(kept) + 1), chance.choice([0, 1, 1, 1, 2, 9, 40])
        what = chance.randrange(7)
        if what == 0:
            del kept[at:]
        elif what == 1:
            kept[at : at + length] = chance.randbytes(length)
        elif what == 2:
            kept[at : at + length] = chance.choice(EDGES)
        elif what == 3 and at < len(kept):
            kept[at] ^= 1 << chance.randrange(8)
        elif what == 4:
            other = chance.choice(real())
            start = chance.randrange(len(other))
            kept[at : at + length] = other[start : start + chance.choice([1, 5, 30, 300])]
        elif what == 5:
            kept[at:at] = kept[at : at + length]
        elif at < len(kept):
            kept[at] = (kept[at] + chance.choice([-2, -1, 1, 2])) % 256
    return record[: len(HEADER)] + bytes(kept)


def lives_on(state: UserState) -> None:
    """Asks of a state all that the core asks, and lets events come."""
    now = max(state.last_ts, state.scored_ts) + HOUR
    model_input(state, DEFAULT_FEATURES, now)
    if state.patterns is None:
        state.patterns = PatternMemory()
    for number, kind in enumerate(("view_item", "add_to_cart", "purchase", "view_item")):
        one = click(f"new{number}", event=kind, ts=START + number * HOUR, item_id="i7", order_id="o", price=2)
        event = from_contract(ClickEvent.model_validate(one))
        if not state.event_ids.seen(event.id_hash):
            state.event_ids.add(event.id_hash, event.ts, RULES.lateness)
            apply_event(state, event, RULES.lateness)
            state.patterns.update(event, RULES.patterns)
    state.patterns.fire(now, RULES.patterns)
    state.patterns.forget(now - RULES.lateness, RULES.patterns)
    survives(state)


def survives(state: UserState) -> bytes:
    """Checks that a state is the same behind its record; returns this."""
    record = written(state)
    again = decode_user(record, DEFAULT_FEATURES)
    assert written(again) == record
    now = max(state.last_ts, state.scored_ts, 0) + DAY
    assert features_of(again, DEFAULT_FEATURES, now) == features_of(state, DEFAULT_FEATURES, now)
    return record


def can_be_read(record: bytes, others: Sequence[bytes]) -> bool:
    """Says whether a record can be read; if so, it is checked that its user lives on, alone and with others."""
    try:
        state = decode_user(record, DEFAULT_FEATURES)
    except StateError:
        return False
    record = survives(state)
    for other in others:
        for one, two in ((record, other), (other, record)):
            both = decode_user(one, DEFAULT_FEATURES)
            merge(both, decode_user(two, DEFAULT_FEATURES), "other", RULES.patterns)
            survives(both)
            lives_on(both)
    lives_on(state)
    return True


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_a_damaged_record_is_refused_or_lived_with(seed: int) -> None:
    chance = random.Random(seed)
    read = 0
    for _ in range(MUTATIONS):
        record = damaged(chance.choice(real()), chance)
        # With itself, what is large is twice as large.
        read += can_be_read(record, [chance.choice(real()), record])
    assert 0 < read < MUTATIONS


def test_what_is_damaged_again_and_again_is_lived_with() -> None:
    """Each damage is done to what was read of the last: far from all that any worker wrote."""
    chance = random.Random(7)
    for whole in real():
        record = whole
        for _ in range(MUTATIONS // 2):
            spoilt = damaged(record, chance)
            if can_be_read(spoilt, []):
                record = written(decode_user(spoilt, DEFAULT_FEATURES))


def test_bytes_by_chance_are_refused_or_lived_with() -> None:
    chance = random.Random(8)
    for _ in range(4 * MUTATIONS):
        can_be_read(HEADER + chance.randbytes(chance.choice([0, 3, 30, 3_000])), [real()[-1]])


def test_a_damaged_record_of_version_1_is_refused_or_lived_with() -> None:
    chance = random.Random(9)
    for _ in range(2 * MUTATIONS):
        record = OLD[:1] + damaged(HEADER + OLD[1:], chance)[len(HEADER) :]
        can_be_read(record, [real()[-2]])


def test_a_record_that_is_cut_is_refused_wherever() -> None:
    for record in real()[:2]:
        for end in range(len(record)):
            assert not can_be_read(record[:end], [])
