"""Proves the core against the oracle on whole data sets: `python -m support.proving FOLDER` (scripts/prove).

Each set goes through a partition twice. In order: a user's features are compared after their 1st, 2nd, 3rd, 5th,
8th, 13th, ... event and after one in a hundred of the others; at the end, and after silences of up to 800 days.
Disordered: every event up to 60 hours late, one in ten sent twice, in batches of uneven size, with a restart from
the state records every few thousand events; the same comparisons, on what had arrived by then.
"""

import sys
from argparse import ArgumentParser
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Final

from support.builders import Click
from support.datasets import (
    Fed,
    Share,
    cdnow,
    complete_journey,
    complete_journey_baskets,
    online_retail,
    retail_rocket,
)
from support.oracle import LATENESS, counting, differing, features
from support.restarting import Restarting

from forestay.core.event import NEVER
from forestay.core.feature_set import DEFAULT_FEATURES, FEATURE_NAMES
from forestay.core.hashing import hash64
from forestay.core.partition import Partition
from forestay.core.rules import Rules
from forestay.core.units import DAY, HOUR

#: How long after a user's last event their features are compared at the end.
SILENCES: Final = (0, 1, HOUR, DAY, 14 * DAY, 45 * DAY, 90 * DAY, 181 * DAY, 800 * DAY)
#: Whoever looks on wants examples, not all.
SHOWN: Final = 20
#: Events from one restart to the next.
RESTART_EVERY: Final = 20_000
FIBONACCI: Final = frozenset((1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987, 1_597, 2_584, 4_181))

#: Nothing is scored: the features are asked for here. Few users stay unpacked, so that most are packed now and then.
RULES: Final = Rules(score_on=frozenset(), live_users=50)

Load = Callable[[Share], Iterator[Fed]]


@dataclass
class Proof:
    """What was compared so far; `differences` tells of each that was found."""

    events: int = 0
    users: int = 0
    moments: int = 0
    differences: list[str] = field(default_factory=list)

    def compare(self, partition: Partition, arrived: Sequence[Click], silences: Iterable[int], earliest: int) -> None:
        """Compares one user's features after silences of so many milliseconds, at no moment before `earliest`."""
        user, events = arrived[0]["user_id"], counting(arrived)
        state = partition.users.get(user)
        assert state is not None, f"{user} is not known"
        for silence in silences:
            self.moments += 1
            now = max(events[-1].ts, earliest) + silence
            found = DEFAULT_FEATURES.vector(state.parts, now, state.last_ts)
            self.differences += [f"{user} at {now}: {one}" for one in differing(found, features(events, now))]


def disordered(rows: Sequence[Fed]) -> list[Fed]:
    """Returns the rows each up to 60 hours late, one in ten of the events again within the next 10 hours."""

    def late(row: Fed, salt: str, most: int) -> int:
        return row.record.timestamp + hash64(f"{salt} {row.record.offset}") % most

    arriving = [(late(row, "late", 60 * HOUR), row) for row in rows]
    again = [(late(row, "late", 60 * HOUR) + 10 * HOUR, row) for row in rows if row.click]
    arriving += [(at, row) for at, row in again if hash64(f"again {row.record.offset}") % 10 == 0]
    arriving.sort(key=lambda pair: pair[0])
    return [
        Fed(row.record._replace(offset=offset, timestamp=at), row.click) for offset, (at, row) in enumerate(arriving)
    ]


def prove(rows: Sequence[Fed], proof: Proof, restart_every: int = 0) -> None:
    """Feeds the rows to an empty partition and compares on the way and at the end.

    `restart_every`: so many events from one restart to the next, in batches of up to 100; 0: none, one by one.
    """
    arrived: dict[str, list[Click]] = defaultdict(list)
    life, since, earliest, late = Restarting(RULES), 0, NEVER, late_rows(rows)
    for batch in _batches(rows, 100 if restart_every else 1):
        life.apply([row.record for row in batch])
        since += len(batch)
        if 0 < restart_every <= since:
            life.restart()
            since = 0
        looked_at: dict[str, None] = {}
        for record, click in batch:
            if click is None or record.offset in late:
                continue
            found = arrived[click["user_id"]]
            found.append(click)
            if len(found) in FIBONACCI or hash64(click["event_id"]) % 100 == 0:
                looked_at[click["user_id"]] = None
        # A record leaves out what no event that is not too late can need.
        earliest = life.partition.watermark - LATENESS if restart_every else NEVER
        for user in looked_at:
            proof.compare(life.partition, arrived[user], (0,), earliest)
    for clicks in arrived.values():
        proof.compare(life.partition, clicks, SILENCES, earliest)
    letters = {int(dict(letter.headers)["forestay-offset"] or b"") for letter in life.dead_letters}
    expected = {row.record.offset for row in rows if row.click is None} | late
    proof.differences += [f"a dead letter or none: {rows[offset]}" for offset in sorted(letters ^ expected)]
    proof.events += len(rows)
    proof.users += len(arrived)


def late_rows(rows: Sequence[Fed]) -> set[int]:
    """Returns the offsets of the events that are too late."""
    late, watermark = set[int](), NEVER
    for record, click in rows:
        if click and click["ts"] < watermark - LATENESS:
            late.add(record.offset)
        elif click:
            watermark = max(watermark, click["ts"])
    return late


def _batches(rows: Sequence[Fed], most: int) -> Iterator[Sequence[Fed]]:
    """Cuts the rows into batches of 1 to `most`."""
    start = 0
    while start < len(rows):
        size = 1 + hash64(f"batch {start}") % most
        yield rows[start : start + size]
        start += size


def data_sets(folder: Path) -> dict[str, Load]:
    """Returns what loads each set; all but the recording are read from `folder`."""
    journey = folder / "complete_journey"
    return {
        "Online Retail II": online_retail,
        "CDNOW": partial(cdnow, folder=folder / "cdnow"),
        "RetailRocket": partial(retail_rocket, folder=folder / "retailrocket_mini"),
        "Complete Journey, lines": partial(complete_journey, folder=journey),
        "Complete Journey, baskets": partial(complete_journey_baskets, folder=journey),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Proves every set; returns 1 if a feature differed anywhere."""
    parser = ArgumentParser(prog="scripts/prove", description=__doc__)
    parser.add_argument("folder", type=Path, help="holds cdnow/, retailrocket_mini/ and complete_journey/")
    parser.add_argument("--only", default="", help="only sets whose name begins so")
    parser.add_argument("--shares", type=int, default=8, help="users are proven in so many parts, to save memory")
    options = parser.parse_args(arguments)
    print(f"{'set':26}{'order':12}{'events':>11}{'users':>8}{'moments':>10}{'values':>13}{'wrong':>7}{'s':>6}")
    wrong = 0
    for name, load in data_sets(options.folder).items():
        if name.startswith(options.only):
            wrong += _prove_set(name, load, options.shares)
    return 1 if wrong else 0


def _prove_set(name: str, load: Load, shares: int) -> int:
    wrong = 0
    for order, restart_every in (("in order", 0), ("disordered", RESTART_EVERY)):
        proof, began = Proof(), monotonic()
        for number in range(shares):
            rows = list(load(Share(number, shares)))
            prove(disordered(rows) if restart_every else rows, proof, restart_every)
        print(
            f"{name:26}{order:12}{proof.events:11,}{proof.users:8,}{proof.moments:10,}"
            f"{proof.moments * len(FEATURE_NAMES):13,}{len(proof.differences):7,}{monotonic() - began:6.0f}",
            flush=True,
        )
        for difference in proof.differences[:SHOWN]:
            print(f"  {difference}")
        wrong += len(proof.differences)
    return wrong


if __name__ == "__main__":
    sys.exit(main())
