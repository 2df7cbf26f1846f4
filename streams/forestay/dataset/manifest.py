"""What a training set says about itself: `manifest.json`, the same for the same sources and the same wishes."""

import hashlib
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from forestay.core.decision.model_input import INPUT_DIGEST, NUMBER_COLUMNS, TOKEN_COLUMNS
from forestay.core.feature_set import FEATURE_NAMES
from forestay.dataset.leakage import Counted, Separation
from forestay.dataset.partitioning import Divided
from forestay.dataset.plan import Label, Plan, Split, moment_text, span_text
from forestay.dataset.tables import SHAPES, label_columns, spend_columns

#: Other columns, or others' meaning, are another format.
FORMAT: Final = "forestay-dataset/2"
_READ: Final = 1 << 20


def source_facts(divided: Divided) -> list[dict[str, Any]]:
    """Returns of each file its name, size, digest, and how much of it was read."""
    return [
        {"name": one.path.name, **digest_of(one.path), "rows": one.rows, "events": one.events}
        for one in divided.reads
    ]


def digest_of(path: Path) -> dict[str, Any]:
    """Returns size and SHA-256 of a file; of a folder, those of its files one after the other, by their names."""
    digest = hashlib.sha256()
    size = 0
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            for block in _blocks(file):
                digest.update(block)
                size += len(block)
    return {"bytes": size, "sha256": digest.hexdigest()}


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while block := opened.read(_READ):
            yield block


def plan_facts(plan: Plan, known_until: int) -> dict[str, Any]:
    """Returns what was asked for, and what it means for a reader of the parts."""
    bounds = {"validate_from": plan.validate_from, "test_from": plan.test_from}
    return {
        "format": FORMAT,
        "forestay": version("forestay"),
        "input_digest": INPUT_DIGEST,
        "features": list(FEATURE_NAMES),
        "shapes": {name: list(shape) for name, shape in SHAPES.items()},
        "token_columns": list(TOKEN_COLUMNS),
        "number_columns": list(NUMBER_COLUMNS),
        "label": {"churned": plan.label, "columns": label_columns(plan)}
        | ({"spend_share": plan.spend_share} if plan.label is Label.LESS_SPEND else {}),
        "spend": {"columns": spend_columns(plan)},
        "cutoffs": [moment_text(cutoff) for cutoff in plan.cutoffs],
        "horizons": [span_text(horizon) for horizon in plan.horizons],
        "observed": span_text(plan.observed),
        "known_until": moment_text(known_until),
        "split": {name: None if bound is None else moment_text(bound) for name, bound in bounds.items()},
        "lateness_ms": plan.lateness,
        "idle_ms": plan.idle,
        "merge_identities": plan.merge_identities,
    }


def row_facts(counted: Counted, plan: Plan) -> dict[str, Any]:
    """Returns rows by split, and of each label how many are known and which share of them has left."""
    labels = {}
    for name in label_columns(plan):
        labels[name] = {
            split: {
                "labelled": known,
                "churn_rate": round(counted.churned[name, split] / known, 6) if known else None,
            }
            for split in Split
            if counted.rows[split]
            for known in [counted.labelled[name, split]]
        }
    return {"rows": {split: counted.rows[split] for split in Split}, "labels": labels}


def leakage_facts(made_again: int, found: Sequence[Separation]) -> dict[str, Any]:
    """Returns what the checks looked at; had one failed, there would be no manifest."""
    return {
        "rows_made_again": made_again,
        "best_single_feature": {one.label: {"feature": one.feature, "auc": one.auc} for one in found},
    }
