"""Online Retail II as a recording of click events, faults among them: the stream of the demo and the tests.

    python -m forestay_training.online_retail --source orders.parquet --out recordings/online-retail-ii.parquet

The source is the data set's sheet 'Year 2009-2010' as Parquet, with the columns invoice, stock_code,
description, quantity, invoice_ts, unit_price, customer_id, country. The same source gives the same bytes.
"""

import argparse
import hashlib
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import pyarrow.parquet as pq
from kafka.partitioner.default import murmur2

from forestay.core.units import to_milliseconds
from forestay.recording import RecordedMessage, RecordingMetadata, write_recording
from forestay.recording.files import SMALL
from forestay_schemas.types import EventName
from forestay_training.online_retail_faults import FAULTS, REPEATS, Row, plant

TOPIC: Final = "clickstream"
PARTITIONS: Final = 4
CREDIT: Final = "'Online Retail II', Chen, D., UCI Machine Learning Repository, https://doi.org/10.24432/C5CG6D"
LICENCE: Final = "CC-BY-4.0"
_DESCRIPTION: Final = (
    "Order lines of a British gift web shop, 2009-12-01 to 2010-12-09, as purchase and refund events, one a line. "
    "The shop's local times are taken as UTC. Real, except for the records whose header forestay-note says otherwise."
)
#: Products carry five digits and at most two letters; POST, M, D, BANK CHARGES and the like are no products.
_PRODUCT: Final = re.compile(r"\d{5}[A-Za-z]{0,2}")

#: ISO 3166-1 codes of the source's country names. Channel Islands, West Indies and Unspecified have none.
COUNTRIES: Final = {
    "United Kingdom": "GB", "EIRE": "IE", "Germany": "DE", "France": "FR", "Netherlands": "NL", "Spain": "ES",
    "Switzerland": "CH", "Portugal": "PT", "Belgium": "BE", "Sweden": "SE", "Italy": "IT", "Australia": "AU",
    "Cyprus": "CY", "Austria": "AT", "Greece": "GR", "United Arab Emirates": "AE", "Denmark": "DK", "Norway": "NO",
    "Finland": "FI", "USA": "US", "Japan": "JP", "Poland": "PL", "Malta": "MT", "Lithuania": "LT",
    "Singapore": "SG", "RSA": "ZA", "Bahrain": "BH", "Canada": "CA", "Hong Kong": "HK", "Thailand": "TH",
    "Israel": "IL", "Iceland": "IS", "Korea": "KR", "Brazil": "BR", "Bermuda": "BM", "Nigeria": "NG",
    "Lebanon": "LB",
}  # fmt: skip


class Line(NamedTuple):
    """One line of an order, as the source has it; `number` counts the lines of its invoice from 1."""

    number: int
    invoice: str
    stock_code: str
    description: str | None
    quantity: int
    invoice_ts: datetime
    unit_price: float
    customer_id: int | None
    country: str

    @property
    def returned(self) -> bool:
        """Says whether the line gives goods back."""
        return self.invoice.startswith("C")


def read_lines(source: Path) -> Iterator[Line]:
    """Yields the lines of `source` in their order, which is that of time."""
    numbers: Counter[str] = Counter()
    with pq.ParquetFile(source) as file:
        for batch in file.iter_batches(columns=list(Line._fields[1:])):
            for row in batch.to_pylist():
                numbers[row["invoice"]] += 1
                yield Line(numbers[row["invoice"]], **row)


def reason_to_leave_out(line: Line) -> str | None:
    """Returns why `line` becomes no event, None if it does."""
    if line.customer_id is None:
        return "no_customer"
    if not _PRODUCT.fullmatch(line.stock_code):
        return "not_a_product"
    if line.unit_price <= 0:
        return "price_zero"
    if (line.quantity >= 0) if line.returned else (line.quantity <= 0):
        return "quantity_against_kind"
    return None


def to_event(line: Line) -> dict[str, Any]:
    """Returns `line` as a click event.

    What lines of an order share comes first, what they differ in last: zstd makes 10 % less of it so.
    """
    event = {
        "event": EventName.REFUND if line.returned else EventName.PURCHASE,
        "user_id": f"u{line.customer_id}",
        "ts": f"{line.invoice_ts:%Y-%m-%dT%H:%M:%SZ}",
        "order_id": line.invoice,
        "country": COUNTRIES.get(line.country),
        "currency": "GBP",
        "event_id": f"{line.invoice}-{line.number}",
        "item_id": line.stock_code,
        "item_name": (line.description or "").strip() or None,
        "price": line.unit_price,
        "quantity": abs(line.quantity),
        "properties": None if line.country in COUNTRIES else {"country_name": line.country},
    }
    return {name: value for name, value in event.items() if value is not None}


def convert(source: Path, out: Path) -> RecordingMetadata:
    """Writes the recording of `source` to `out`, and returns what it says about itself.

    Raises:
        OSError: `source` cannot be read or `out` not written.
    """
    counts: Counter[str] = Counter()
    rows: list[Row] = []
    for line in read_lines(source):
        counts["source_lines"] += 1
        reason = reason_to_leave_out(line)
        if reason is not None:
            counts[f"left_out_{reason}"] += 1
            continue
        counts["refunds" if line.returned else "purchases"] += 1
        event = to_event(line)
        timestamp = to_milliseconds(line.invoice_ts.replace(tzinfo=UTC))
        rows.append(Row(timestamp, event["user_id"].encode(), msgspec.json.encode(event)))
    counts |= {"users": len({row.key for row in rows}), "broken": len(FAULTS), "repeats": REPEATS}
    planted = list(plant(rows))
    metadata = RecordingMetadata(
        description=_DESCRIPTION,
        credit=CREDIT,
        licence=LICENCE,
        partitions={TOPIC: PARTITIONS},
        counts=dict(sorted(counts.items())),
        properties={"source_sha256": hashlib.sha256(source.read_bytes()).hexdigest(), "notes": _notes(planted)},
    )
    write_recording(out, to_messages(planted), metadata, zstd_level=SMALL)
    return metadata


def to_messages(rows: Iterable[Row]) -> Iterator[RecordedMessage]:
    """Yields `rows` with the partitions Kafka's default partitioner gives their keys, and offsets."""
    partitions: dict[bytes, int] = {}
    offsets: Counter[int] = Counter()
    for row in rows:
        if row.key not in partitions:
            partitions[row.key] = (murmur2(row.key) & 0x7FFFFFFF) % PARTITIONS
        partition = partitions[row.key]
        yield RecordedMessage(TOPIC, partition, offsets[partition], *row)
        offsets[partition] += 1


def _notes(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Returns where the records that are not in the source lie."""
    return [
        {"row": number, "note": (row.headers[0][1] or b"").decode()} for number, row in enumerate(rows) if row.headers
    ]


def main() -> None:
    """Converts, and prints what was made."""
    parser = argparse.ArgumentParser(description="Turns Online Retail II into a recording of click events.")
    parser.add_argument("--source", type=Path, required=True, help="Parquet file with the order lines of one year")
    parser.add_argument("--out", type=Path, required=True, help="recording to write, .parquet or .jsonl")
    arguments = parser.parse_args()
    if not arguments.source.is_file():
        parser.error(f"there is no {arguments.source}: the data set is at https://doi.org/10.24432/C5CG6D")
    metadata = convert(arguments.source, arguments.out)
    report = {"file": str(arguments.out), "bytes": arguments.out.stat().st_size, **metadata.counts}
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
