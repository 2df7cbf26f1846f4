"""The ledger (docs/ledger.md): what is durable took every record once, and made what lies on the topics.

Digests are the business of replay; here offsets must follow each other without gap or overlap, and counts must agree.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from forestay_chaos.read_record import ReadRecord
from forestay_chaos.verdict import Verdict

_SOURCES: Final = ("clickstream", "clock", "identity", "budget")
Entry = dict[str, Any]
Read = Mapping[str, Sequence[ReadRecord]]


def check_ledger(read: Read, verdict: Verdict) -> None:
    """Holds the ledger of each partition against its topics; `read` without the role has nothing to hold."""
    if "ledger" not in read:
        return
    # Of a partition whose ledger is gone nobody took anything.
    partitions: dict[int, list[Entry]] = {record.partition: [] for role in _SOURCES for record in read[role]}
    for record in read["ledger"]:
        entry = json.loads(record.value or b"{}")
        partitions.setdefault(entry["partition"], []).append(entry)
    for partition, entries in partitions.items():
        durable = durable_of(entries)
        for role in _SOURCES:
            _check_offsets([record for record in read[role] if record.partition == partition], durable, verdict)
        _check_made(partition, durable, read, verdict)


def durable_of(entries: Iterable[Entry]) -> list[Entry]:
    """Returns starts and batches, without those that a start after them undoes: their state never became durable."""
    durable: list[Entry] = []
    for entry in entries:
        if entry["kind"] == "start":
            while durable and _is_undone(durable[-1], entry):
                durable.pop()
        if entry["kind"] != "commit":
            durable.append(entry)
    return durable


def _is_undone(entry: Entry, start: Entry) -> bool:
    if entry["kind"] == "batch":
        return bool(entry["end"] > start["positions"].get(entry["topic"], 0))
    # Nothing was durable in between: what it took as made is taken as made again.
    return bool(start["decisions"] < entry["decisions_end"])


def _check_offsets(records: Sequence[ReadRecord], durable: Iterable[Entry], verdict: Verdict) -> None:
    """Looks whether batches took each of the records of one partition, in order, once."""
    if not records:
        return
    topic, partition = records[0].topic, records[0].partition
    offsets = {record.offset for record in records}
    expected = 0
    for batch in (entry for entry in durable if entry["kind"] == "batch" and entry["topic"] == topic):
        if batch["begin"] < expected:
            verdict.find("ledger_wrong", f"{topic}-{partition}: {batch['begin']} to {expected} was taken twice")
        elif offsets.intersection(range(expected, batch["begin"])):
            verdict.find("ledger_wrong", f"{topic}-{partition}: nobody took {expected} to {batch['begin']}")
        expected = batch["end"]
    if expected <= max(offsets):
        verdict.find("ledger_wrong", f"{topic}-{partition}: nobody took what is behind {expected}")


def _check_made(partition: int, durable: Sequence[Entry], read: Read, verdict: Verdict) -> None:
    made: dict[str, int] = defaultdict(int)
    for entry in durable:
        for role, digested in entry.get("made", {}).items():
            made[role] += digested["records"]
    decisions = [record for record in read["decisions"] if record.partition == partition]
    taken = [range(entry["decisions"], entry["decisions_end"]) for entry in durable if entry["kind"] == "start"]
    made["decisions"] += sum(any(record.offset in each for each in taken) for record in decisions)
    letters = {record.headers[-2:] for record in read["dead_letters"] if record.partition == partition}
    for role, found in (("decisions", len(decisions)), ("dead_letters", len(letters))):
        if made[role] != found:
            verdict.find("ledger_wrong", f"partition {partition}: {made[role]} {role}, not {found}")
