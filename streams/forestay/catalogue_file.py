"""The file of offers: YAML in, a checked catalogue out, errors that name the line."""

from pathlib import Path
from typing import Final

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from forestay.core.decision.catalogue import Catalogue, Offer
from forestay.core.decision.guardrail_settings import Guardrails
from forestay.lined_yaml import load_lined
from forestay.near_names import meant

#: The parts whose names are most often misspelt; of others the message alone must do.
_PARTS: Final[dict[str, type[BaseModel]]] = {"offers": Offer, "guardrails": Guardrails}
#: How deep a name of these parts stands: `offers.0.colour`, `guardrails.cap`.
_DEPTH: Final = {"offers": 3, "guardrails": 2}


def load_catalogue(path: Path) -> Catalogue:
    """Returns the catalogue in the YAML file `path`.

    Raises:
        ConfigurationError: it is missing or too large, is no YAML, or breaks the catalogue's contract; the message
            has a line `FILE:LINE: what is wrong` for each error.
    """
    return load_lined(path, "catalogue", Catalogue.model_validate, _said, "the catalogue")


def _said(item: ErrorDetails) -> str:
    """Returns what is wrong; of a misspelt name also what is meant."""
    location = item["loc"]
    if item["type"] != "extra_forbidden":
        return item["msg"].removeprefix("Value error, ")
    if len(location) == 1:
        return f"there is no such part{meant(str(location[0]), Catalogue.model_fields)}"
    part = str(location[0])
    known = _PARTS.get(part)
    if known is None or len(location) != _DEPTH[part]:
        return "there is no such part"
    return f"there is no such part{meant(str(location[-1]), known.model_fields)}"
