"""Writes the JSON Schemas of all topics: `python -m forestay_schemas [FOLDER]`."""

import json
import sys
from pathlib import Path

from pydantic import BaseModel

from forestay_schemas.action_feedback import ActionFeedback
from forestay_schemas.catalogue_record import CatalogueRecord
from forestay_schemas.click_event import ClickEvent
from forestay_schemas.clock_record import ClockRecord
from forestay_schemas.decision import Decision
from forestay_schemas.ledger import LedgerRecord
from forestay_schemas.outcome import DecisionOutcome
from forestay_schemas.retention_action import RetentionAction

#: The contract of each topic, by the name of its schema file.
CONTRACTS: dict[str, type[BaseModel]] = {
    "action_feedback": ActionFeedback,
    "catalogue_record": CatalogueRecord,
    "click_event": ClickEvent,
    "clock_record": ClockRecord,
    "decision": Decision,
    "decision_outcome": DecisionOutcome,
    "ledger_record": LedgerRecord,
    "retention_action": RetentionAction,
}


_READ = ("action_feedback", "click_event", "clock_record")


def schema_text(name: str) -> str:
    """Returns the JSON Schema of the contract `name` as it is committed."""
    # What we read is described as it may be sent, what we write as it is written: one form of time, not two.
    schema = CONTRACTS[name].model_json_schema(mode="validation" if name in _READ else "serialization")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


def main(folder: Path) -> None:
    """Writes every schema into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in CONTRACTS:
        (folder / f"{name}.schema.json").write_text(schema_text(name))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "json")
