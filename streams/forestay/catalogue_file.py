"""The file of offers: YAML in, a checked catalogue out, errors that name the line."""

from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from forestay.core.decision.catalogue import Catalogue, Offer
from forestay.core.decision.guardrail_settings import Guardrails
from forestay.core.errors import ConfigurationError
from forestay.core.policy.posterior import Posterior
from forestay.lined_yaml import load_lined
from forestay.near_names import meant
from forestay.settings import cannot_work

#: The parts whose names are most often misspelt; of others the message alone must do.
_PARTS: Final[dict[str, type[BaseModel]]] = {"offers": Offer, "guardrails": Guardrails}
#: How deep a name of these parts stands: `offers.0.colour`, `guardrails.cap`.
_DEPTH: Final = {"offers": 3, "guardrails": 2}

#: A posterior of 200 offers has 1.2 MB (bytes).
_LARGEST: Final = 20_000_000


def load_catalogue(path: Path) -> Catalogue:
    """Returns the catalogue in the YAML file `path`, with the posterior that its policy may name.

    Raises:
        ConfigurationError: it is missing or too large, is no YAML, or breaks the contract, as may its posterior; the
            message has a line `FILE:LINE: what is wrong` for each error.
    """
    return load_lined(
        path,
        "catalogue",
        lambda content: Catalogue.model_validate(_with_posterior(content, path.parent)),
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


def _with_posterior(content: Any, folder: Path) -> Any:
    """Puts what was learned in the place of its file's name, which is relative to the catalogue's folder."""
    policy = content.get("policy") if isinstance(content, dict) else None
    if not isinstance(policy, dict) or not isinstance(policy.get("posterior"), str):
        return content
    return {**content, "policy": {**policy, "posterior": _posterior(folder / policy["posterior"])}}


def _posterior(path: Path) -> Posterior:
    try:
        with path.open("rb") as file:
            return Posterior.model_validate_json(file.read(_LARGEST))
    except OSError as error:
        raise ConfigurationError(f"the posterior {path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise cannot_work(f"the posterior {path}", error) from error
