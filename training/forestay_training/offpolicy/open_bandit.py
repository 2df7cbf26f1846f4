"""Open Bandit's logs: what ZOZOTOWN showed on three places of its page, and whether it was clicked.

Saito, Aihara, Matsutani and Narita: Open Bandit Dataset and Pipeline (NeurIPS 2021). The files name no users: each
row is taken for one, and intervals are too narrow where one user has several.
"""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import yaml

from forestay.core.errors import ForestayError, UsageError
from forestay_training.offpolicy.log import Log, Matrix, Vector, Whole

#: As in the published figure: the policy's probabilities are shares of so many simulations.
SIMULATIONS: Final = 100_000
SEED: Final = 12_345
POLICIES: Final = ("random", "bts")
_PLACES: Final = 3
_AT_ONCE: Final = 10_000
_PRIOR: Final = Path(__file__).with_name("zozotown_prior.yaml")
_FEATURES: Final = tuple(f"user_feature_{number}" for number in range(4))
_COLUMNS: Final = ("item_id", "position", "click", "propensity_score", *_FEATURES)


class OpenBandit(NamedTuple):
    """A file's rows, `place` (N,) from 0, and the campaign it is of."""

    log: Log
    place: Whole
    campaign: str

    def target(self, policy: str) -> Matrix:
        """Returns the probabilities (N, items) of `random` or `bts`.

        Raises:
            UsageError: it is neither.
        """
        if policy == "random":
            return np.full(self.log.offered.shape, 1 / len(self.log.actions))
        if policy == "bts":
            return thompson(self.campaign)[self.place]
        raise UsageError(f"--policy {policy}: policies for Open Bandit are {' and '.join(POLICIES)}")


def read(path: Path) -> OpenBandit:
    """Reads `all.csv`, `men.csv` or `women.csv` as published, or the folder that holds one.

    Raises:
        OSError: it cannot be read.
        ForestayError: it is none of them.
    """
    file = _file(path)
    campaign, items = file.stem, len(priors()[file.stem]["alpha"])
    columns = _columns(file)
    item = _whole(file, columns["item_id"], items)
    # Places are numbered from 1 in the published files.
    place = np.unique(_whole(file, columns["position"], _PLACES + 1), return_inverse=True)[1]
    propensity = columns["propensity_score"].astype(np.float64)
    if not ((propensity > 0) & (propensity <= 1)).all():
        raise ForestayError(f"{file}: propensity_score is a probability above 0 and at most 1")
    tried = np.zeros((_PLACES, items), dtype=np.bool_)
    tried[place, item] = True
    evenly = bool(np.allclose(propensity, 1 / items))
    log = Log(
        actions=tuple(f"item-{number}" for number in range(items)),
        chosen=item,
        propensity=propensity,
        reward=_whole(file, columns["click"], 2).astype(np.float64),
        user=np.arange(len(item)),
        context=_context([columns[name] for name in _FEATURES], place),
        offered=np.ones((len(item), items), dtype=np.bool_),
        tried=np.ones((len(item), items), dtype=np.bool_) if evenly else tried[place],
        logging=np.full((len(item), items), 1 / items) if evenly else None,
    )
    return OpenBandit(log, place, campaign)


def thompson(campaign: str, simulations: int = SIMULATIONS, seed: int = SEED) -> Matrix:
    """Returns how often Thompson sampling from the published prior puts each item on each place: (3, items).

    The order of random numbers is that of Open Bandit Pipeline's simulation, so that the shares are the same.
    """
    prior = priors()[campaign]
    generator = np.random.RandomState(seed)
    shares = np.zeros((_PLACES, len(prior["alpha"])))
    for start in range(0, simulations, _AT_ONCE):
        rounds = min(_AT_ONCE, simulations - start)
        drawn = generator.beta(prior["alpha"], prior["beta"], size=(rounds, len(prior["alpha"])))
        best = np.argsort(drawn, axis=1)[:, : -_PLACES - 1 : -1]
        for place in range(_PLACES):
            shares[place] += np.bincount(best[:, place], minlength=shares.shape[1])
    return shares / simulations


def priors() -> Mapping[str, Mapping[str, list[float]]]:
    """Returns alpha and beta of every item, by campaign."""
    found: Mapping[str, Mapping[str, list[float]]] = yaml.safe_load(_PRIOR.read_text())
    return found


def _file(path: Path) -> Path:
    names = [f"{campaign}.csv" for campaign in priors()]
    if path.is_dir():
        path = next((path / name for name in names if (path / name).exists()), path)
    if path.name not in names:
        raise ForestayError(f"{path}: a log of Open Bandit is called {', '.join(names)}, as it was published")
    return path


def _columns(file: Path) -> dict[str, Any]:
    with file.open(newline="") as lines:
        rows = csv.reader(lines)
        header = next(rows, [])
        missing = [name for name in _COLUMNS if name not in header]
        if missing:
            raise ForestayError(f"{file}: has no column {', '.join(missing)}: it is no log of Open Bandit")
        places = [header.index(name) for name in _COLUMNS]
        try:
            table = [[row[place] for place in places] for row in rows]
        except IndexError as error:
            raise ForestayError(f"{file}: a row is cut off, fetch the file anew") from error
    if not table:
        raise ForestayError(f"{file}: holds no rows")
    return {name: np.array(column) for name, column in zip(_COLUMNS, zip(*table, strict=True), strict=True)}


def _whole(file: Path, column: Any, below: int) -> Whole:
    try:
        numbers = column.astype(np.int64)
    except ValueError as error:
        raise ForestayError(f"{file}: {error}") from error
    if numbers.min() < 0 or numbers.max() >= below:
        raise ForestayError(f"{file}: {numbers.min()} to {numbers.max()} where 0 to {below - 1} is expected")
    return np.asarray(numbers, dtype=np.int64)


def _context(features: list[Any], place: Whole) -> Matrix:
    """Returns the users' four hashed features and the place as columns of 0 and 1."""
    tables: list[Vector] = [np.eye(_PLACES)[place]]
    for column in features:
        values, number = np.unique(column, return_inverse=True)
        tables.append(np.eye(len(values))[number])
    return np.concatenate(tables, axis=1)
