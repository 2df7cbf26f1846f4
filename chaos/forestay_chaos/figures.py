"""Writes campaigns' figures into docs/reliability.md: `python -m forestay_chaos.figures CHAOS.json ...`.

The section between the two marks is written anew; the rest of the page is people's.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from forestay_chaos.paths import ROOT
from forestay_chaos.totals import joined

PAGE: Final = ROOT / "docs" / "reliability.md"
_ALSO_ZERO: Final = ("stuck", "recordings_wrong", "replays_that_differ", "unclean_ends")
_ALLOWED: Final = ("actions_repeated_same_id", "workers_that_stopped_the_line")
_BEGIN: Final = "<!-- figures: written by forestay_chaos.figures -->\n"
_END: Final = "<!-- end of figures -->\n"


def figures(results: Sequence[Mapping[str, Any]]) -> str:
    """Returns the section for the JSON objects of campaigns."""
    result = joined(results)
    rows = [
        (name, row["count"], *(_seconds(row[key]) for key in ("p50", "p90", "p99", "max")))
        for name, row in result["recovery_seconds"].items()
    ]
    lines = [
        _head(result, results),
        "",
        *_table(
            ("must be 0", "count"),
            [
                *_named(result["must_be_0"]),
                *_named(_part(result, _ALSO_ZERO)),
                ("runs the harness could not play", len(result["errors"])),
            ],
        ),
        *_table(("allowed", "count"), _named(_part(result, _ALLOWED))),
        *_table(("recovery after", "measured", "p50", "p90", "p99", "max"), rows),
        *_table(("fault", "times"), list(result["faults"].items())),
    ]
    return "\n".join(lines)


def _head(result: Mapping[str, Any], parts: Sequence[Mapping[str, Any]]) -> str:
    machine, minutes = result["machine"], sum(part["seconds"] for part in parts) / 60
    # A run that could not be played had its seed too.
    tried = [(part["seed"], part["runs"] + len(part["errors"])) for part in parts]
    seeds = " and ".join(f"{first} to {first + count - 1}" for first, count in tried)
    parted = f" in {len(parts)} campaigns, some side by side," if len(parts) > 1 else ""
    return (
        f"{result['runs']} runs, seeds {seeds}, in {minutes:.0f} minutes{parted} on"
        f" {machine['cores']} cores and {machine['memory_gib']} GiB ({machine['system']}), which brokers, Triton,"
        f" workers and oracle shared; load average at the end {machine['load_average']}.\n"
        f"{result['events']:,} events counted, {result['decisions']:,} decisions, {result['actions']:,} actions,"
        f" {result['dead_letters']:,} dead letters."
    )


def _part(result: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: result[name] for name in names}


def _named(counts: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(name.replace("_", " "), count) for name, count in counts.items()]


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} s"


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    body = ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head), *body, ""]


def main(arguments: Sequence[str]) -> None:
    """Reads the JSON and writes the page."""
    if not arguments:
        sys.exit(__doc__)
    results = [json.loads(Path(name).read_text()) for name in arguments]
    before, _, rest = PAGE.read_text().partition(_BEGIN)
    _, _, after = rest.partition(_END)
    PAGE.write_text(f"{before}{_BEGIN}\n{figures(results)}{_END}{after}")


if __name__ == "__main__":
    main(sys.argv[1:])
