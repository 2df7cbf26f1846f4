"""What the workers counted for each user: in the features they wrote, and in their state records (docs/state.md)."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple
from zlib import crc32

from forestay_chaos.oracle_truth import Counted, Totals, Truth, trail
from forestay_chaos.read_record import ReadRecord
from forestay_chaos.traffic import Traffic
from forestay_chaos.verdict import Verdict

_VERSIONS: Final = (0x02, 0x82)
#: In front of the record: this, and the checksum of key and record.
_SEAL: Final = 0x53
_SEAL_BYTES: Final = 5
#: Version and the minute at which the user is looked at: numbers follow.
_HEAD_BYTES: Final = 5


class Told(NamedTuple):
    """A feature record: of the event at `ts`."""

    ts: int
    totals: Totals


def check_features(traffic: Traffic, truth: Truth, features: Sequence[ReadRecord], verdict: Verdict) -> None:
    """Holds the last features of each user, and those of most users after each event, against the truth."""
    told: dict[str, list[Told]] = defaultdict(list)
    for record in features:
        values = json.loads(record.value or b"{}")
        told[values["user_id"]].append(Told(values["ts"], _totals(values["features"])))
    merged = traffic.others.keys() | traffic.others.values()
    for user in traffic.users:
        events = events_of(traffic, truth, user)
        if not events:
            continue
        expected = trail(events)
        # A worker that wakes up may repeat older ones behind it.
        last = [each for each in told[user] if each.ts == events[-1].ts]
        if not last:
            verdict.complete = False
            verdict.find("features_lost", f"{user}: none after the last event", 0)
        _check_last(user, expected[-1], last or told[user], verdict)
        if user not in merged:
            ways = [Told(event.ts, totals) for event, totals in zip(events, expected, strict=True)]
            _check_trail(user, ways, told[user], verdict)


def events_of(traffic: Traffic, truth: Truth, user: str) -> list[Counted]:
    """Returns the events of a user and of the visitor they were, the probe last."""
    names = [name for name, other in traffic.others.items() if other == user]
    return [event for name in (*names, user) for event in truth.counted.get(name, ())]


def _totals(features: dict[str, float]) -> Totals:
    events, orders, spend, refunds = (
        features[name] for name in ("events_total", "orders_total", "spend_total", "refunds_total")
    )
    return Totals(round(events), round(orders), round(spend * 100), round(refunds))


def _check_last(user: str, expected: Totals, told: Sequence[Told], verdict: Verdict) -> None:
    found = told[-1].totals if told else Totals(0, 0, 0, 0)
    off = found.events - expected.events
    text = f"{user}: {expected} is right, the last features say {found}"
    if off:
        verdict.find("events_doubled" if off > 0 else "events_lost", text, abs(off))
    elif found != expected:
        verdict.find("totals_wrong", text)


def _check_trail(user: str, expected: Sequence[Told], told: Sequence[Told], verdict: Verdict) -> None:
    found = Counter(told)
    verdict.features_repeated += sum(found.values()) - len(found)
    for lost in set(expected) - found.keys():
        verdict.find("features_lost", f"{user}: none says {lost}")
    for made_up in found.keys() - set(expected):
        verdict.find("features_made_up", f"{user}: {made_up}")


def check_states(traffic: Traffic, truth: Truth, states: Sequence[ReadRecord], verdict: Verdict) -> None:
    """Holds what the durable states have counted against the truth, where no two ids became one."""
    latest = {record.key.decode(): record for record in states if record.key is not None and record.key[:1] != b"\0"}
    merged = traffic.others.keys() | traffic.others.values()
    for user, events in truth.counted.items():
        if user in merged:
            continue
        record = latest.get(user)
        found = None if record is None or record.value is None else counted_in(user.encode(), record.value)
        repeats = found[1] if found and user in truth.unsure else truth.repeats.get(user, 0)
        if found != (len(events), repeats):
            verdict.find("states_wrong", f"{user}: {(len(events), repeats)} events and repeats, not {found}")


def counted_in(key: bytes, state: bytes) -> tuple[int, int] | None:
    """Returns how many events and repeats a state record has counted; None: its seal is broken.

    Raises:
        ValueError: the record is of a version that docs/state.md does not describe.
    """
    if state[0] == _SEAL:
        told, state = state[1:_SEAL_BYTES], state[_SEAL_BYTES:]
        if int.from_bytes(told, "big") != crc32(key + state):
            return None
    if state[0] not in _VERSIONS:
        raise ValueError(f"a state record of version {state[0]}")
    numbers = _numbers(state[_HEAD_BYTES:])
    _newest, _offset, applied, repeats = (next(numbers) for _ in range(4))
    return applied, repeats


def _numbers(data: bytes) -> Iterator[int]:
    """Yields zigzag-coded varints."""
    value = shift = 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            yield value >> 1 ^ -(value & 1)
            value = shift = 0
