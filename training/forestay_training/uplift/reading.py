"""Makes campaigns of files: one, or a train and a test file that are encoded alike."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from forestay.core.errors import ForestayError, UsageError
from forestay_training.uplift.campaign import Campaign, Vector, Whole
from forestay_training.uplift.columns import column, full, is_number, listed, numbers, read_table, texts

#: A column of text with more is a name or an address, not a category.
_MOST_CATEGORIES: Final = 255
_MOST_ARMS: Final = 10
#: Fewer people in an arm tell nothing, and the folds would lack some outcomes.
_FEWEST: Final = 100


class Columns(NamedTuple):
    """Which column is what: `features` None takes all that are nothing else and not in `left_out`."""

    treatment: str
    control: str
    outcome: str
    value: str | None = None
    #: The money of one outcome, where no column tells it.
    worth: float = 1.0
    key: str | None = None
    features: Sequence[str] | None = None
    left_out: Sequence[str] = ()


class _Known(NamedTuple):
    """What the train file says the columns hold: a category's number is its place."""

    arms: tuple[str, ...]
    features: tuple[str, ...]
    categories: dict[str, dict[str, int]]


def read_campaigns(train: Path, test: Path | None, columns: Columns) -> tuple[Campaign, Campaign | None]:
    """Returns the train file's campaign and the test file's, if there is one.

    A category that only the test file has is taken for unknown.

    Raises:
        ForestayError: the files are not as `columns` says, or hold too little.
        OSError: a file cannot be read.
    """
    table = read_table(train)
    known = _known(table, columns)
    return _campaign(train, table, columns, known), None if test is None else _campaign(
        test, read_table(test), columns, known
    )


def _known(table: pa.Table, columns: Columns) -> _Known:
    names = _named(column(table, columns.treatment, "--treatment"), columns.treatment)
    arms = sorted(set(names))
    if columns.control not in arms:
        raise UsageError(f"--control {columns.control}: not in column {columns.treatment}; there are {listed(arms)}")
    if len(arms) == 1 or len(arms) > _MOST_ARMS:
        raise ForestayError(f"column {columns.treatment}: {len(arms)} arms; a campaign has 2 to {_MOST_ARMS}")
    features = _features(table, columns)
    categories = {
        name: _categories(name, table.column(name)) for name in features if not is_number(table.column(name))
    }
    return _Known((columns.control, *(arm for arm in arms if arm != columns.control)), features, categories)


def _features(table: pa.Table, columns: Columns) -> tuple[str, ...]:
    taken = {columns.treatment, columns.outcome, columns.value, columns.key}
    for name in columns.left_out:
        column(table, name, "--leave-out")
    if columns.features is None:
        found = [name for name in table.column_names if name not in taken and name not in columns.left_out]
    else:
        found = list(dict.fromkeys(columns.features))
        told = taken.intersection(found)
        if told:
            raise UsageError(f"--features {listed(sorted(map(str, told)))}: not known before the treatment")
        for name in found:
            column(table, name, "--features")
    if not found:
        raise UsageError("no column is left that could be a feature")
    return tuple(found)


def _categories(name: str, found: pa.ChunkedArray) -> dict[str, int]:
    seen = sorted({text for text in texts(found) if text is not None})
    if len(seen) > _MOST_CATEGORIES:
        raise UsageError(
            f"column {name}: {len(seen):,} different texts, more than {_MOST_CATEGORIES}; say --leave-out {name}"
        )
    return {text: number for number, text in enumerate(seen)}


def _campaign(path: Path, table: pa.Table, columns: Columns, known: _Known) -> Campaign:
    try:
        arm = _arm(column(table, columns.treatment, "--treatment"), columns.treatment, known.arms)
        outcome = _outcome(column(table, columns.outcome, "--outcome"), columns.outcome)
        if columns.value is None:
            value = outcome * columns.worth
        else:
            value = full(numbers(column(table, columns.value, "--value"), columns.value), columns.value)
        if columns.key is None:
            key = np.array([str(number) for number in range(table.num_rows)])
        else:
            key = np.array(_named(column(table, columns.key, "--id"), columns.key))
        features = [_feature(name, column(table, name, "--features"), known) for name in known.features]
    except ForestayError as error:
        raise type(error)(f"{path}: {error}") from error
    categorical = np.array([name in known.categories for name in known.features])
    made = Campaign(np.stack(features, axis=1), known.features, categorical, arm, known.arms, outcome, value, key)
    for name, count in zip(made.arms, made.counts.tolist(), strict=True):
        if count < _FEWEST:
            raise ForestayError(f"{path}: {count} people in arm {name}; fewer than {_FEWEST} tell nothing")
    return made


def _named(found: pa.ChunkedArray, name: str) -> list[str]:
    answer = [text for text in texts(found) if text is not None]
    if len(answer) < len(found):
        raise ForestayError(f"column {name}: {len(found) - len(answer):,} rows have no value")
    return answer


def _arm(found: pa.ChunkedArray, name: str, arms: tuple[str, ...]) -> Whole:
    places = {arm: number for number, arm in enumerate(arms)}
    names = _named(found, name)
    strangers = sorted(set(names).difference(places))
    if strangers:
        raise ForestayError(f"column {name}: {listed(strangers)}: no arm of the train file ({listed(arms)})")
    return np.array([places[one] for one in names], dtype=np.int64)


def _outcome(found: pa.ChunkedArray, name: str) -> Vector:
    values = full(numbers(found, name), name)
    if not np.isin(values, (0.0, 1.0)).all():
        raise ForestayError(f"column {name}: an outcome is 0 or 1 (or true, false); money goes to --value")
    return values


def _feature(name: str, found: pa.ChunkedArray, known: _Known) -> Vector:
    if name not in known.categories:
        return numbers(found, name)
    places = known.categories[name]
    return np.array([np.nan if text is None else places.get(text, np.nan) for text in texts(found)])
