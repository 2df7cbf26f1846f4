"""Recipes as files, so that what tuning has found can be trained with."""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

from forestay.core.errors import ForestayError
from forestay_training.fitting import Recipe
from forestay_training.network import Shape

#: Says whether a number is within it, and in words what it should be.
_Limit = tuple[Callable[[float], bool], str]

_COUNT: Final[_Limit] = (lambda value: value >= 1, "be at least 1")
_RATE: Final[_Limit] = (lambda value: 0 < value < math.inf, "be above 0")
_WEIGHT: Final[_Limit] = (lambda value: 0 <= value < math.inf, "be 0 or above")
#: What can be fitted. A comparison with NaN holds nowhere, so NaN is refused too.
_LIMITS: Final[dict[str, _Limit]] = {
    **dict.fromkeys(("epochs", "batch", "pretraining_epochs", "width", "layers", "heads"), _COUNT),
    **dict.fromkeys(("peak_rate", "pretraining_rate"), _RATE),
    **dict.fromkeys(("weight_decay", "steps_penalty"), _WEIGHT),
    "soft_share": (lambda value: 0 <= value <= 1, "lie between 0 and 1"),
    "dropout": (lambda value: 0 <= value < 1, "be 0 or above and below 1"),
}


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
        recipe = Recipe(shape=shape, **_known(path, Recipe, told))
    except (OSError, ValueError, TypeError) as error:
        raise ForestayError(f"{path} is no recipe: {error}") from error
    # What cannot be fitted is found here, and not after the boosted trees, minutes later.
    for reason in _wrong(recipe):
        raise ForestayError(f"{path}: {reason}")
    return recipe


def _known(path: Path, kind: type[Recipe] | type[Shape], told: dict[str, Any]) -> dict[str, Any]:
    defaults = {field.name: getattr(kind(), field.name) for field in fields(kind)}
    unknown = sorted(told.keys() - defaults.keys())
    if unknown:
        raise ForestayError(f"{path}: {', '.join(unknown)}: a recipe has {', '.join(sorted(defaults))}")
    for name, value in told.items():
        wanted = float if isinstance(defaults[name], float) else type(defaults[name])
        if type(value) is not wanted and not (wanted is float and type(value) is int):
            raise ForestayError(f"{path}: {name} is {value!r}, and should be of type {wanted.__name__}")
    return told


def _wrong(recipe: Recipe) -> Iterator[str]:
    """Yields what cannot be fitted."""
    shape = recipe.shape
    told = asdict(recipe) | asdict(shape)
    for name, (is_right, words) in _LIMITS.items():
        if not is_right(told[name]):
            yield f"{name} is {told[name]}, and should {words}"
    if shape.encoder not in {"transformer", "gru"}:
        yield f"encoder is {shape.encoder!r}, and should be transformer or gru"
    if shape.width % max(1, shape.heads):
        yield f"width {shape.width} should be a multiple of heads, {shape.heads}"
