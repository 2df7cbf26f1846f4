"""The events of the job: a fixed seed makes the same bytes each time.

A shop's events over 7 days in order of time, 271 bytes each, by users of Zipf's law (at the default skew the busiest
user has 14 % of them). 17 % ask for an output record.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

KINDS: Final = ("page_view", "view_item", "add_to_cart", "begin_checkout", "purchase")
#: The kinds that ask for an output record.
FIRST_EMITTING: Final = KINDS.index("add_to_cart")
PURCHASE: Final = KINDS.index("purchase")
#: Where the user id stands in each line.
KEY: Final = slice(58, 65)

_SHARES: Final = (0.55, 0.28, 0.09, 0.04, 0.04)
_CATEGORIES: Final = (
    *("shoes", "outdoor", "kitchen", "garden", "electronics", "toys"),
    *("books", "beauty", "sports", "office", "pets", "grocery"),
)
_DEVICES: Final = ("mobile", "desktop", "tablet")
_COUNTRIES: Final = ("DE", "FR", "US", "GB", "NL", "ES", "IT", "PL", "SE", "BR")
_CURRENCIES: Final = ("EUR", "USD", "GBP")
_SEED: Final = 20_260_301
_BEGIN: Final = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp() * 1000)
_SPAN: Final = 7 * 86_400_000
#: Lines made at once: 100 MB of Python objects.
_CHUNK: Final = 100_000
#: Raised when the bytes change, so that no cached file of an older version is taken.
_VERSION: Final = 1


@dataclass(frozen=True)
class StreamSpec:
    """What makes a stream; equal specs make equal bytes."""

    events: int
    users: int = 50_000
    skew: float = 1.1

    @property
    def name(self) -> str:
        """Returns a name for files."""
        return f"events-{self.events}-users-{self.users}-skew-{self.skew:g}-v{_VERSION}"


class Stream(NamedTuple):
    """A stream's file of lines, and what the recount needs of each event, in order.

    `users` are numbers (see `user_id`), `kinds` indexes of KINDS, `times` milliseconds since the epoch, `cents` what
    a purchase spends in hundredths of its currency and 0 for other kinds.
    """

    spec: StreamSpec
    file: Path
    users: npt.NDArray[np.int64]
    kinds: npt.NDArray[np.int64]
    times: npt.NDArray[np.int64]
    cents: npt.NDArray[np.int64]


def user_id(number: int) -> str:
    """Returns the id a user has in the events."""
    return f"u{number:06d}"


def rfc3339(millis: int) -> str:
    """Returns the moment as events write it: UTC, milliseconds, Z."""
    return f"{datetime.fromtimestamp(millis // 1000, UTC):%Y-%m-%dT%H:%M:%S}.{millis % 1000:03d}Z"


def stream(spec: StreamSpec, folder: Path, tell: Callable[[int], object] = lambda _: None) -> Stream:
    """Returns the stream, made (3 M events: 15 s, 816 MB) or found in `folder`; `tell` hears how many are written."""
    columns = _draw(spec)
    file = folder / f"{spec.name}.jsonl"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(".unfinished")
        with unfinished.open("wb") as out:
            written = 0
            for block in _blocks(columns):
                out.write(b"".join(block))
                written += len(block)
                tell(written)
        unfinished.rename(file)
    spent = np.where(columns["kind"] == PURCHASE, columns["cents"] * columns["quantity"], 0)
    return Stream(spec, file, columns["user"], columns["kind"], columns["time"], spent)


def lines(spec: StreamSpec) -> Iterator[bytes]:
    """Yields the events, a line of JSON each."""
    for block in _blocks(_draw(spec)):
        yield from block


def _draw(spec: StreamSpec) -> dict[str, npt.NDArray[np.int64]]:
    """Returns a column of draws a field. The order of draws is part of what makes the bytes."""
    chance = np.random.default_rng(_SEED)
    weights = 1 / np.arange(1, spec.users + 1) ** spec.skew
    weights /= weights.sum()
    order = chance.permutation(spec.users)
    count = spec.events
    user = order[chance.choice(spec.users, size=count, p=weights)]
    kind = chance.choice(len(KINDS), size=count, p=_SHARES)
    gaps = np.cumsum(chance.exponential(1.0, size=count))
    time = (gaps / gaps[-1] * (_SPAN - 1)).astype(np.int64) + _BEGIN
    below = {"item": (0, 20_000), "cents": (99, 49_999), "quantity": (1, 4), "category": (0, len(_CATEGORIES))}
    below |= {"device": (0, 3), "country": (0, 10), "currency": (0, 3)}
    below |= {"id_high": (0, 2**62), "id_low": (0, 2**62), "session": (0, 2**48)}
    drawn = {name: chance.integers(low, high, size=count) for name, (low, high) in below.items()}
    return {"user": user, "kind": kind, "time": time, **drawn}


def _blocks(columns: dict[str, npt.NDArray[np.int64]]) -> Iterator[list[bytes]]:
    count = len(columns["user"])
    for begin in range(0, count, _CHUNK):
        yield _block({name: column[begin : begin + _CHUNK] for name, column in columns.items()})


def _block(columns: dict[str, npt.NDArray[np.int64]]) -> list[bytes]:
    """Returns the lines of a chunk; by one format of all fields, as 3 M are written."""
    times = np.datetime_as_string(columns["time"].astype("datetime64[ms]")).tolist()
    names = ("id_high", "id_low", "user", "kind", "session", "item", "category", "cents", "quantity")
    numbers = [columns[name].tolist() for name in (*names, "currency", "device", "country")]
    return [
        (
            f'{{"event_id":"{high:016x}{low:016x}","user_id":"u{user:06d}","event":"{KINDS[kind]}","ts":"{ts}Z",'
            f'"session_id":"s-{session:012x}","item_id":"sku-{item:06d}","category":"{_CATEGORIES[category]}",'
            f'"price":{cents // 100}.{cents % 100:02d},"quantity":{quantity},"currency":"{_CURRENCIES[currency]}",'
            f'"device":"{_DEVICES[device]}","country":"{_COUNTRIES[country]}"}}\n'
        ).encode()
        for ts, high, low, user, kind, session, item, category, cents, quantity, currency, device, country in zip(
            times, *numbers, strict=True
        )
    ]
