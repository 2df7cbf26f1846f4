"""Orders and titles read from files of events."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from forestay.core.decision.answer import Embedding
from forestay.core.errors import ForestayError
from forestay.core.event import PURCHASE, Event
from forestay.core.units import DAY
from forestay.history.point_in_time import STEP, Tell
from forestay.history.reading import EventFile, Problems, Row

#: What a user met so long ago counts as taste (days), as in the state of a worker.
TASTE_DAYS: Final = 30
_SHORT_TITLE: Final = 200


class _Line(msgspec.Struct):
    item_id: str | None = None
    item_name: str | None = None


class _Click(_Line):
    order_id: str | None = None
    country: str | None = None
    items: list[_Line] | None = None


_DECODER: Final = msgspec.json.Decoder(_Click, strict=False)


class Orders(NamedTuple):
    """Lines of orders, one a pair of `order` and `item` (N,), both numbered; and what items and orders are.

    `ids` names the items; `titles` those that have one; `countries` has the country of each order, empty if unknown.
    """

    order: NDArray[np.int32]
    item: NDArray[np.int32]
    ids: list[str]
    titles: dict[str, str]
    countries: list[str]


class Later(NamedTuple):
    """An order to be foreseen: whose, when (ms), where, what they met in 30 days (newest last), and ordered.

    `embedding` is what the model had made of the user right before, where it was asked and there was something.
    """

    user: str
    at: int
    country: str | None
    met: list[str]
    ordered: frozenset[str]
    embedding: Embedding | None = None


class _Met(NamedTuple):
    at: int
    item: str


def read_orders(files: Sequence[EventFile], before: int | None, tell: Tell) -> Orders:
    """Returns the orders in `files`, those before `before` (milliseconds) if that is given.

    Raises:
        OSError: a file cannot be read.
        ForestayError: a file is damaged, or there is no order with an item.
    """
    orders: dict[str, int] = {}
    items: dict[str, int] = {}
    titles: dict[str, str] = {}
    countries: list[str] = []
    pairs: dict[tuple[int, int], None] = {}
    problems = Problems()
    for event, click in _clicks(files, problems, tell):
        if event.kind != PURCHASE or (before is not None and event.ts >= before):
            continue
        order = orders.setdefault(_order(event, click), len(orders))
        if order == len(countries):
            countries.append(click.country or "")
        for name, title in _lines(click):
            if title:
                titles.setdefault(name, title[:_SHORT_TITLE])
            pairs[order, items.setdefault(name, len(items))] = None
    if not pairs:
        raise ForestayError(f"there is no order with an item among the events{problems.told()}")
    lines = np.array(list(pairs), dtype=np.int32)
    return Orders(lines[:, 0], lines[:, 1], list(items), titles, countries)


def read_later(files: Sequence[EventFile], since: int, tell: Tell) -> list[Later]:
    """Returns the orders from `since` (milliseconds) on, in the order of time, each with what came before it.

    Raises:
        OSError: a file cannot be read.
        ForestayError: a file is damaged, or there is no such order.
    """
    met: dict[str, list[_Met]] = defaultdict(list)
    found: dict[str, tuple[int, str, str | None, set[str]]] = {}
    problems = Problems()
    for event, click in _clicks(files, problems, tell):
        names = [name for name, _title in _lines(click)]
        if event.ts >= since - TASTE_DAYS * DAY:
            met[event.user_id].extend(_Met(event.ts, name) for name in names)
        if event.kind == PURCHASE and event.ts >= since and names:
            at, user, country, ordered = found.setdefault(
                _order(event, click), (event.ts, event.user_id, click.country, set())
            )
            found[_order(event, click)] = (min(at, event.ts), user, country, ordered | set(names))
    if not found:
        raise ForestayError(f"there is no order from that moment on to judge by{problems.told()}")
    for mentions in met.values():
        mentions.sort()
    later = sorted(found.items(), key=lambda one: (one[1][0], one[0]))
    return [
        Later(user, at, country, _before(met[user], at), frozenset(ordered))
        for _, (at, user, country, ordered) in later
    ]


def _before(mentions: Iterable[_Met], at: int) -> list[str]:
    newest: dict[str, int] = {one.item: one.at for one in mentions if at - TASTE_DAYS * DAY <= one.at < at}
    return sorted(newest, key=lambda item: (newest[item], item))


def _clicks(files: Sequence[EventFile], problems: Problems, tell: Tell) -> Iterator[tuple[Event, _Click]]:
    for file in files:
        for row in file.read():
            if row.position % STEP == 0:
                tell(f"reading {file.path.name}", row.position, file.rows)
            if row.event is None:
                problems.add(file.path, row)
            else:
                yield row.event, _click(row)


def _click(row: Row) -> _Click:
    return _DECODER.decode(row.value)


def _order(event: Event, click: _Click) -> str:
    return f"{event.user_id}\n{click.order_id or event.ts}"


def _lines(click: _Click) -> Iterator[tuple[str, str | None]]:
    for line in click.items or [click]:
        name = line.item_id or line.item_name
        if name:
            yield name, line.item_name
