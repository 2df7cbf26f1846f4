"""CDNOW as a file of events: one purchase for each customer and day.

    python -m forestay_training.cdnow --source CDNOW_master.txt --out cdnow.parquet

The source is the master file of Fader and Hardie: all purchases of the 23,570 customers who first bought from the CD
shop in the first quarter of 1997, up to the end of June 1998 (customer, date, number of CDs, dollars). It is not part
of this project.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from forestay_training.event_files import convert

_NOON: Final = timedelta(hours=12)


def purchases(source: Path) -> Iterator[dict[str, Any]]:
    """Yields a purchase for each customer and day with a value above 0, at noon: the file has no times.

    The lines of a day are its items, so that they are one order, as the models of this data set count them.
    """
    found: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for line in source.read_text().splitlines()[1:]:
        customer, date, number, dollars = line.split()
        if int(number) > 0 and float(dollars) > 0:
            item = {"item_id": "cds", "category": None, "price": round(float(dollars) / int(number), 4)}
            found[customer, date].append(item | {"quantity": int(number)})
    for (customer, date), items in found.items():
        yield {
            "event_id": f"{customer}-{date}",
            "user_id": f"c{customer}",
            "event": "purchase",
            "ts": datetime.strptime(date, "%Y%m%d").replace(tzinfo=UTC) + _NOON,
            "order_id": f"{customer}-{date}",
            "currency": "USD",
            "items": items,
        }


def main() -> None:
    """Converts, and prints what was made."""
    parser = argparse.ArgumentParser(description="Turns the CDNOW master file into a file of purchase events.")
    parser.add_argument("--source", type=Path, required=True, help="CDNOW_master.txt")
    parser.add_argument("--out", type=Path, required=True, help="Parquet file of events to write")
    arguments = parser.parse_args()
    if not arguments.source.is_file():
        parser.error(
            f"there is no {arguments.source}: https://www.brucehardie.com/datasets/ holds CDNOW_master.txt, and the"
            " package lifetimes on PyPI does"
        )
    convert(purchases(arguments.source), arguments.out)


if __name__ == "__main__":
    main()
