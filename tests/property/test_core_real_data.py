"""The core against the oracle on real purchases: a sample of the shipped recording.

`scripts/prove` takes the whole, and other sets (docs/proof.md).
The loaders of the sets that are not shipped are tested on small files made up in their formats.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.datasets import Fed, Share, online_retail
from support.proving import Proof, data_sets, disordered, late_rows, main, prove

from forestay_schemas import ClickEvent

#: One customer in 50.
SAMPLE = Share(number=7, of=50)


@pytest.fixture(scope="module")
def sample() -> list[Fed]:
    """The sample's records, in the order of time."""
    return list(online_retail(SAMPLE))


def test_a_sample_of_online_retail_is_the_oracles_in_order(sample: list[Fed]) -> None:
    proof = Proof()
    prove(sample, proof)
    assert proof.differences == []
    assert (proof.users, proof.events) == (95, len(sample))
    assert proof.moments > 10 * proof.users


def test_a_sample_of_online_retail_is_the_oracles_disordered_with_repeats_and_restarts(sample: list[Fed]) -> None:
    rows, proof = disordered(sample), Proof()
    assert len(rows) > 1.05 * len(sample)
    assert late_rows(rows) == set()
    prove(rows, proof, restart_every=1_000)
    assert proof.differences == []


def test_a_difference_is_found(sample: list[Fed]) -> None:
    """Guards the two above: an event that the core saw and the oracle did not shows."""
    rows = sample[:300]
    click = rows[150].click
    assert click is not None
    proof = Proof()
    prove([*rows[:150], rows[150]._replace(click=click | {"quantity": 7_777}), *rows[151:]], proof)
    assert any("spend_total" in difference for difference in proof.differences)
    unread = Proof()
    prove([*rows[:150], rows[150]._replace(click=None), *rows[151:]], unread)
    assert any(difference.startswith("a dead letter or none") for difference in unread.differences)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Every set that is not shipped, in its own format, with a few lines made up."""
    for name in ("cdnow", "retailrocket_mini", "complete_journey"):
        (tmp_path / name).mkdir()
    lines = [
        " customer_id  date number_of_cds  dollar_value",
        " 00001 19970101  1   11.77",
        " 00002 19970112  5   77.00",
    ]
    (tmp_path / "cdnow" / "CDNOW_master.txt").write_text("".join(f"{line}\r\n" for line in lines))
    (tmp_path / "retailrocket_mini" / "events.csv").write_text(
        "timestamp,visitorid,event,itemid,transactionid\n"
        "2015-05-03 06:54:22.541,1,addtocart,20,\n"
        "2015-05-03 06:53:00.000,1,view,20,\n"
        "2015-05-03 06:55:00,1,transaction,20,99\n"
    )
    products = pa.table(
        {"product_id": [7], "department": ["GROCERY"], "product_category": ["EGGS"], "product_type": [None]}
    )
    pq.write_table(products, tmp_path / "complete_journey" / "products.parquet")
    at = pa.array([1_483_280_173_000_000_000] * 4, pa.timestamp("ns"))
    transactions = {
        "household_id": [1, 1, 1, 1],
        "basket_id": [5, 5, 5, 5],
        "product_id": [7, 8, 7, 7],
        "quantity": [2, 3, 0, 0],
        "sales_value": [1.0, 1.0, 2.5, 0.0],
    }
    table = pa.table(transactions | {"transaction_timestamp": at})
    pq.write_table(table, tmp_path / "complete_journey" / "transactions.parquet")
    return tmp_path


def test_the_loaders_make_events_of_the_contract(folder: Path) -> None:
    sets = {name: list(load(Share())) for name, load in data_sets(folder).items() if name != "Online Retail II"}
    assert {name: len(rows) for name, rows in sets.items()} == {
        "CDNOW": 2,
        "RetailRocket": 3,
        "Complete Journey, lines": 3,
        "Complete Journey, baskets": 1,
    }
    for rows in sets.values():
        events = [ClickEvent.model_validate_json(row.record.value or b"") for row in rows]
        assert [event.ts for event in events] == sorted(event.ts for event in events)
        assert len({event.event_id for event in events}) == len(events)
    visitor = [row.click for row in sets["RetailRocket"] if row.click]
    assert [click["event"] for click in visitor] == ["view_item", "add_to_cart", "purchase"]
    assert visitor[-1]["order_id"] == "99"
    lines = [row.click for row in sets["Complete Journey, lines"] if row.click]
    assert [(line["price"], line["quantity"]) for line in lines] == [(0.5, 2), (1.0, 1), (2.5, 1)]
    assert [line["category"] for line in lines] == ["GROCERY/EGGS", "", "GROCERY/EGGS"]
    assert [len(row.click["items"]) for row in sets["Complete Journey, baskets"] if row.click] == [3]


def test_shares_are_every_user_once(folder: Path) -> None:
    load = data_sets(folder)["CDNOW"]
    users = [row.record.key for number in range(3) for row in load(Share(number, 3))]
    assert sorted(users, key=str) == [b"c00001", b"c00002"]


def test_the_command_prints_a_line_for_each_set_and_way(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(folder), "--only", "Complete", "--shares", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert all(line.startswith("Complete Journey") and line.split()[-2] == "0" for line in lines[1:])
