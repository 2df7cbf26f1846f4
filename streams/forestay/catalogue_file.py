"""The file of offers: YAML in, a checked catalogue out, errors that name the line."""

from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from forestay.core.decision.catalogue import Catalogue, Offer
from forestay.core.decision.guardrail_settings import Guardrails
from forestay.core.errors import ConfigurationError
from forestay.core.items.items import Items
from forestay.core.policy.parity import ParityPrices
from forestay.core.policy.posterior import Posterior
from forestay.core.policy.value_to_go import ValueToGo
from forestay.lined_yaml import load_lined
from forestay.near_names import meant
from forestay.settings import cannot_work

#: The parts whose names are most often misspelt; of others the message alone must do.
_PARTS: Final[dict[str, type[BaseModel]]] = {"offers": Offer, "guardrails": Guardrails}
#: How deep a name of these parts stands: `offers.0.colour`, `guardrails.cap`.
_DEPTH: Final = {"offers": 3, "guardrails": 2}

#: A posterior of 200 offers has 1.2 MB, 100,000 items with 20 neighbours some 60 (bytes).
_LARGEST: Final = 100_000_000
_Learned = TypeVar("_Learned", bound=BaseModel)


def load_catalogue(path: Path) -> Catalogue:
    """Returns the catalogue in the YAML file `path`, with the posterior and the items that it may name.

    Raises:
        ConfigurationError: it is missing or too large, is no YAML, or breaks the contract, as may those; the
            message has a line `FILE:LINE: what is wrong` for each error.
    """
    return load_lined(
        path,
        "catalogue",
        lambda content: Catalogue.model_validate(_with_files(content, path.parent)),
        _said,
        "the catalogue",
    )


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


def _with_files(content: Any, folder: Path) -> Any:
    """Puts what was learned in the place of its file's name, which is relative to the catalogue's folder."""
    if not isinstance(content, dict):
        return content
    content = dict(content)
    if isinstance(content.get("policy"), dict):
        content["policy"] = _policy_with_files(content["policy"], folder)
    if isinstance(content.get("items"), str):
        content["items"] = _learned(Items, "items", folder / content["items"])
    return content


def _policy_with_files(policy: dict[str, Any], folder: Path) -> dict[str, Any]:
    policy = dict(policy)
    if isinstance(policy.get("posterior"), str):
        policy["posterior"] = _learned(Posterior, "posterior", folder / policy["posterior"])
    if isinstance(policy.get("parity"), str):
        policy["parity"] = _learned(ParityPrices, "prices of parity", folder / policy["parity"])
    advice = policy.get("value_to_go")
    if isinstance(advice, dict) and isinstance(advice.get("file"), str):
        policy["value_to_go"] = {**advice, "file": _learned(ValueToGo, "value to go", folder / advice["file"])}
    return policy


def load_items(path: Path) -> Items:
    """Returns the lists of items in a file that `forestay items fit` wrote.

    Raises:
        ConfigurationError: it cannot be read, or is no such file.
    """
    return _learned(Items, "items", path)


def _learned(kind: type[_Learned], what: str, path: Path) -> _Learned:
    try:
        with path.open("rb") as file:
            return kind.model_validate_json(file.read(_LARGEST))
    except OSError as error:
        raise ConfigurationError(f"the {what} {path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise cannot_work(f"the {what} {path}", error) from error
