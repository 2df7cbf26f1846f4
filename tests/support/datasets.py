"""Public data sets as click events, for the proof.

Every loader says what it made up: the sets have no event ids, some have no times of day, and local times are
taken as UTC. Times are in epoch milliseconds, events in the order of time. `shares` cuts a set by user, as
partitions do, so that a large one need not lie in memory whole.
"""

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from support.builders import Click, source

from forestay.core.hashing import hash64
from forestay.core.record import SourceRecord
from forestay.core.units import DAY, SECOND, to_milliseconds
from forestay.recording import open_recording

RECORDING: Final = Path(__file__).parents[2] / "recordings" / "online-retail-ii.parquet"
#: GA4's bound on the items of an event.
MAX_ITEMS: Final = 200


class Share(NamedTuple):
    """Says which users: those whose hash leaves the remainder `number` when divided by `of`."""

    number: int = 0
    of: int = 1

    def holds(self, user: str) -> bool:
        """Says whether the share has this user."""
        return hash64(user) % self.of == self.number


class Fed(NamedTuple):
    """A source record, and the event in it; none where the record is broken on purpose."""

    record: SourceRecord
    click: Click | None


def fed(clicks: Iterator[Click]) -> Iterator[Fed]:
    """Yields the events as records of one partition."""
    for offset, event in enumerate(clicks):
        yield Fed(source(event, offset), event)


def online_retail(share: Share, path: Path = RECORDING) -> Iterator[Fed]:
    """Yields the shipped recording of Online Retail II, its broken records and repeats too; one partition.

    What is made up in it, `recordings/README.md` says.
    """
    rows = [message for message in open_recording(path) if share.holds((message.key or b"").decode())]
    # In the order of time over the partitions of the recording, and within each as it came.
    for offset, row in enumerate(sorted(rows, key=lambda row: row.timestamp)):
        record = SourceRecord(row.topic, 0, offset, row.timestamp, row.key, row.value, row.headers)
        broken = any((note or b"").startswith(b"broken") for name, note in row.headers if name == "forestay-note")
        click = None if broken else json.loads(row.value or b"")
        if click:
            click["ts"] = to_milliseconds(datetime.fromisoformat(click["ts"]))
        yield Fed(record, click)


def complete_journey(share: Share, folder: Path) -> Iterator[Fed]:
    """Yields Complete Journey's basket lines as purchases, a line an event.

    Its maintainers' texts disagree on whether the set is real or simulated. Event ids are made up.
    Lines without quantity and value are left out.
    """
    return fed(_complete_journey(share, folder))


def complete_journey_baskets(share: Share, folder: Path) -> Iterator[Fed]:
    """Yields Complete Journey again, a basket an event with its lines as `items` (of the largest, 200)."""
    return fed(_baskets(_complete_journey(share, folder)))


def _complete_journey(share: Share, folder: Path) -> Iterator[Click]:
    products = pq.read_table(folder / "products.parquet")
    named = _rows(products, "product_id", "department", "product_category", "product_type")
    categories = {product: "/".join(part for part in path if part) for product, *path in named}
    columns = ("household_id", "basket_id", "product_id", "quantity", "sales_value", "transaction_timestamp")
    table = pq.read_table(folder / "transactions.parquet", columns=list(columns))
    households = [one for one in table["household_id"].unique().to_pylist() if share.holds(f"h{one}")]
    table = table.filter(pc.field("household_id").isin(households))
    for number, (household, basket, product, quantity, value, at) in enumerate(_rows(table, *columns)):
        if quantity > 0 or value > 0:
            ts = to_milliseconds(at.replace(tzinfo=UTC))
            line = {"item_id": str(product), "category": categories.get(product, "")} | _priced(value, quantity)
            yield _click(f"line-{number}", f"h{household}", "purchase", ts, order_id=str(basket), **line)


def _rows(table: pa.Table, *columns: str) -> Iterator[tuple[Any, ...]]:
    return zip(*(table[name].to_pylist() for name in columns), strict=True)


def _baskets(lines: Iterator[Click]) -> Iterator[Click]:
    baskets: dict[str, list[Click]] = {}
    for line in lines:
        baskets.setdefault(line["order_id"], []).append(line)
    for basket, found in baskets.items():
        items = [{name: line[name] for name in ("item_id", "category", "price", "quantity")} for line in found]
        first = found[0]
        yield _click(basket, first["user_id"], "purchase", first["ts"], order_id=basket, items=items[:MAX_ITEMS])


def cdnow(share: Share, folder: Path) -> Iterator[Fed]:
    """Yields CDNOW's purchases, which name no order.

    The source has dates without times: the second of the day is made up, a hash of the line's number.
    """
    clicks: list[Click] = []
    lines = (folder / "CDNOW_master.txt").read_text().splitlines()[1:]
    for number, (customer, date, quantity, value) in enumerate(line.split() for line in lines):
        user = f"c{customer}"
        if share.holds(user):
            day = to_milliseconds(datetime.strptime(date, "%Y%m%d").replace(tzinfo=UTC))
            ts = day + hash64(f"time {number}") % (DAY // SECOND) * SECOND
            clicks.append(_click(f"line-{number}", user, "purchase", ts, **_priced(float(value), int(quantity))))
    return fed(iter(sorted(clicks, key=lambda click: click["ts"])))


def retail_rocket(share: Share, folder: Path) -> Iterator[Fed]:
    """Yields the views, carts and transactions of RetailRocket's sample; event ids are made up, prices unknown."""
    events = {"view": "view_item", "addtocart": "add_to_cart", "transaction": "purchase"}
    clicks: list[Click] = []
    with (folder / "events.csv").open(newline="") as file:
        for number, row in enumerate(csv.DictReader(file)):
            user = f"v{row['visitorid']}"
            if share.holds(user):
                ts = to_milliseconds(datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC))
                order = {"order_id": row["transactionid"]} if row["transactionid"] else {}
                name = events[row["event"]]
                clicks.append(_click(f"row-{number}", user, name, ts, item_id=row["itemid"], **order))
    return fed(iter(sorted(clicks, key=lambda click: click["ts"])))


def _click(event_id: str, user_id: str, event: str, ts: int, **more: object) -> Click:
    return {"event_id": event_id, "user_id": user_id, "event": event, "ts": ts, **more}


def _priced(value: float, quantity: int) -> Click:
    """Returns a line's unit price and quantity; a value that no whole hundredth a piece makes is of one piece."""
    cents = round(value * 100)
    pieces = quantity if quantity > 0 and cents % quantity == 0 else 1
    return {"price": cents // pieces / 100, "quantity": pieces}
