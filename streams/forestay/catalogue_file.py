"""The file of offers: YAML in, a checked catalogue out."""

from pathlib import Path

import yaml
from pydantic import ValidationError

from forestay.core.decision.catalogue import Catalogue
from forestay.core.errors import ConfigurationError
from forestay.settings import cannot_work


def load_catalogue(path: Path) -> Catalogue:
    """Returns the catalogue in the YAML file `path`.

    Raises:
        ConfigurationError: it is missing, is no YAML, or breaks the catalogue's contract.
    """
    try:
        with path.open() as file:
            return Catalogue.model_validate(yaml.safe_load(file))
    except OSError as error:
        raise ConfigurationError(f"the catalogue {path} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"the catalogue {path} is not YAML: {error}") from error
    except ValidationError as error:
        raise cannot_work(f"the catalogue {path}", error) from error
