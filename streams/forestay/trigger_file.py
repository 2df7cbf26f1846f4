"""The file of triggers: YAML in, checked triggers out, errors that name the line."""

from pathlib import Path

from pydantic_core import ErrorDetails

from forestay.core.patterns.pattern_rules import TriggerDefinition, Triggers
from forestay.lined_yaml import load_lined
from forestay.near_names import meant
from forestay_schemas.types import EventName

DEFAULT_TRIGGERS = Path(__file__).parent / "triggers.yaml"
#: Of a name that is wrong, so much is shown (characters).
_SHOWN = 60


def load_triggers(path: Path) -> Triggers:
    """Returns the triggers in the YAML file `path`.

    Raises:
        ConfigurationError: it is missing or too large, is no YAML, or breaks the contract; the message has a
            line `FILE:LINE: what is wrong` for each error.
    """
    return load_lined(path, "trigger file", Triggers.model_validate, _said, "triggers")


def _said(item: ErrorDetails) -> str:
    """Returns what is wrong; of a misspelt event, or a misspelt name of a trigger's part, also what is meant."""
    match item["type"]:
        case "enum" if isinstance(item["input"], str):
            near = meant(item["input"], EventName) or f"; there are {', '.join(EventName)}"
            return f"{item['input'][:_SHOWN]!r} is no event{near}"
        case "extra_forbidden":
            parts = TriggerDefinition.model_fields if len(item["loc"]) > 1 else Triggers.model_fields
            return f"there is no such part{meant(str(item['loc'][-1]), parts)}"
        case _:
            return item["msg"].removeprefix("Value error, ")
