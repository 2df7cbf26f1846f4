"""Recipes as files, so that what tuning has found can be trained with."""

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from forestay.core.errors import ForestayError
from forestay_training.fitting import Recipe
from forestay_training.network import Shape


def recipe_text(recipe: Recipe) -> str:
    """Returns the recipe as JSON."""
    return json.dumps(asdict(recipe), indent=2) + "\n"


def read_recipe(path: Path) -> Recipe:
    """Returns the recipe in a file; what it leaves out is as usual.

    Raises:
        ForestayError: it cannot be read, or says what no recipe has.
    """
    try:
        told = json.loads(path.read_text())
        if not isinstance(told, dict):
            raise ForestayError(f"{path}: a recipe is an object such as {{'epochs': 8, 'shape': {{'width': 64}}}}")
        shape = Shape(**_known(path, Shape, told.pop("shape", {})))
        return Recipe(shape=shape, **_known(path, Recipe, told))
    except (OSError, ValueError, TypeError) as error:
        raise ForestayError(f"{path} is no recipe: {error}") from error


def _known(path: Path, kind: type[Recipe] | type[Shape], told: dict[str, Any]) -> dict[str, Any]:
    defaults = {field.name: getattr(kind(), field.name) for field in fields(kind)}
    unknown = sorted(told.keys() - defaults.keys())
    if unknown:
        raise ForestayError(f"{path}: {', '.join(unknown)}: a recipe has {', '.join(sorted(defaults))}")
    for name, value in told.items():
        wanted = float if isinstance(defaults[name], float) else type(defaults[name])
        if not isinstance(value, wanted) and not (wanted is float and type(value) is int):
            raise ForestayError(f"{path}: {name} is {value!r}, and should be of type {wanted.__name__}")
    return told
