"""Public data sets as files of events, of small made-up files in their formats."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forestay.core.event import PURCHASE
from forestay.core.rules import Rules
from forestay.history.reading import EventFile
from forestay_training.cdnow import purchases
from forestay_training.complete_journey import baskets
from forestay_training.event_files import write_events

pytestmark = pytest.mark.training


def test_a_day_of_cdnow_is_an_order_with_its_lines_as_items(tmp_path: Path) -> None:
    source = tmp_path / "master.txt"
    source.write_text(
        " customer_id  date number_of_cds  dollar_value\n 00002 19970112  1   12.00\n 00002 19970112  5   77.00\n"
        " 00004 19970118  2   29.73\n 00005 19970118  1   0.00\n"
    )
    out = tmp_path / "events.parquet"
    assert write_events(purchases(source), out) == 2
    first, second = (row.event for row in EventFile(out, Rules(), "clickstream").read())
    assert first is not None
    assert second is not None
    assert (first.user_id, first.kind, first.value, first.quantity) == ("c00002", PURCHASE, 8_900, 6)
    assert first.ts == datetime(1997, 1, 12, 12, tzinfo=UTC).timestamp() * 1_000
    # Half a cent is cut off a unit price of 14.865.
    assert second.value in {2_972, 2_973, 2_974}


def test_a_basket_is_an_order_and_what_is_measured_counts_once(tmp_path: Path) -> None:
    columns = ["household_id", "basket_id", "product_id", "quantity", "sales_value", "transaction_timestamp"]
    at = datetime(2017, 5, 4, 18, 3)  # noqa: DTZ001 - the source has no zone
    lines = [
        (7, 31, 100, 2, 3.0, at),
        (8, 32, 200, 1, 9.5, at),
        (7, 31, 300, 15_400, 40.0, at),
        (7, 31, 400, 0, 1.0, at),
        (9, 33, 100, 1, 0.0, at),
    ]
    pq.write_table(
        pa.Table.from_pylist([dict(zip(columns, line, strict=True)) for line in lines]),
        tmp_path / "transactions.parquet",
    )
    products = [{"product_id": 100, "department": "GROCERY"}, {"product_id": 300, "department": None}]
    pq.write_table(pa.Table.from_pylist(products), tmp_path / "products.parquet")
    first, second = baskets(tmp_path)
    assert (first["user_id"], second["user_id"]) == ("h7", "h8")
    assert first["items"] == [
        {"item_id": "100", "category": "GROCERY", "price": 1.5, "quantity": 2},
        {"item_id": "300", "category": None, "price": 40.0, "quantity": 1},
    ]


@pytest.mark.parametrize(
    ("module", "said"),
    [("cdnow", "brucehardie.com"), ("complete_journey", "there is no transactions.parquet and no products.parquet")],
)
def test_where_the_data_are_not_there_it_says_where_they_are(module: str, said: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", f"forestay_training.{module}", "--source", str(tmp_path / "none")]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "out.parquet")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
    assert list(tmp_path.iterdir()) == []
