"""What real streams hold and clean data sets do not: broken records, and events sent twice."""

import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from forestay.core.record import Headers

#: The header that marks what is not in the source.
NOTE: Final = "forestay-note"
REPEATS: Final = 24
#: A repeat follows its original by at most this many rows: an upstream retry takes seconds, not days.
_REPEAT_WITHIN: Final = 200
_SEED: Final = 20091201


class Row(NamedTuple):
    """One record before it has a partition and an offset; `timestamp` in epoch milliseconds."""

    timestamp: int
    key: bytes
    value: bytes | None
    headers: Headers = ()


def _changed(**fields: Any) -> Callable[[dict[str, Any]], bytes]:
    return lambda event: _json(event | fields)


def _without(name: str) -> Callable[[dict[str, Any]], bytes]:
    return lambda event: _json({field: value for field, value in event.items() if field != name})


def _json(event: dict[str, Any]) -> bytes:
    """Writes NaN as NaN, as careless producers do."""
    return json.dumps(event, separators=(",", ":")).encode()


#: How each of the broken records is broken: its name, and what becomes of the event it is made of.
FAULTS: Final[dict[str, Callable[[dict[str, Any]], bytes | None]]] = {
    "not JSON": lambda event: f"order {event['order_id']}: {event['quantity']} x {event['item_id']}".encode(),
    "truncated JSON": lambda event: _json(event)[:-40],
    "invalid UTF-8": lambda event: _json(event | {"item_name": "CAF_ AU LAIT"}).replace(b"CAF_", b"CAF\xc9"),
    "no user_id": _without("user_id"),
    "unknown event": _changed(event="telepathy"),
    "ts is no time": _changed(ts="yesterday"),
    "ts in the year 2099": _changed(ts="2099-12-31T23:59:59Z"),
    "price is NaN": _changed(price=float("nan")),
    "negative quantity": _changed(quantity=-3),
    "key is another user": _changed(),
    "no value": lambda _event: None,
    "quantity is text": _changed(quantity="a dozen"),
}


def plant(rows: Sequence[Row]) -> Iterator[Row]:
    """Yields `rows` with one record for each of `FAULTS` and `REPEATS` exact repeats among them.

    A broken record is made of a real event, follows it, and has its key: what is at stake is its neighbours.
    Places are drawn from a fixed seed.
    """
    chance = random.Random(_SEED)  # noqa: S311 - places in a file, no secrets
    extras: dict[int, list[Row]] = defaultdict(list)
    places = chance.sample(range(_REPEAT_WITHIN, len(rows) - _REPEAT_WITHIN), len(FAULTS) + REPEATS)
    for name, place in zip(FAULTS, places, strict=False):
        extras[place].append(_broken(name, rows, place))
    for place in places[len(FAULTS) :]:
        later = place + chance.randint(1, _REPEAT_WITHIN)
        note = (NOTE, b"an exact repeat, as a producer's retry makes it")
        extras[later].append(rows[place]._replace(timestamp=rows[later].timestamp, headers=(note,)))
    for place, row in enumerate(rows):
        yield row
        yield from extras.get(place, ())


def _broken(name: str, rows: Sequence[Row], place: int) -> Row:
    row = rows[place]
    event = json.loads(row.value or b"")
    event["event_id"] += "-broken"
    key = row.key
    if name == "key is another user":
        key = next(other.key for other in reversed(rows[:place]) if other.key != row.key)
    return Row(row.timestamp, key, FAULTS[name](event), ((NOTE, f"broken on purpose: {name}".encode()),))
