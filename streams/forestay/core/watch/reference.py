"""The reference: bins and shares of the rows that everything later is held against, as one text of JSON."""

from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from forestay.core.decision.model_input import INPUT_DIGEST, ModelInput
from forestay.core.errors import ConfigurationError
from forestay.core.watch.columns import SCORE, WATCHED, Column, fitted, is_column, numbers_of

#: Another meaning has another number.
_FORMAT: Final = "forestay-reference/1"
#: Characters of a reference: it travels in a model's config.pbtxt.
MAX_CHARACTERS: Final = 16_000
#: Fewer rows make no reference.
LEAST_ROWS: Final = 200
#: Of what rows are: users active at a cutoff, or those scored at the moment they were.
Moments = Literal["cutoffs", "scored"]

_Count = Annotated[float, msgspec.Meta(ge=0)]
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class _Binned(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    counts: tuple[_Count, ...]
    edges: tuple[float, ...] = ()
    values: tuple[int, ...] = ()


class _Text(msgspec.Struct, frozen=True, omit_defaults=True):
    format: str
    input_digest: str
    moments: Moments
    users: int
    columns: tuple[_Binned, ...]
    #: Share of those with a score in each bin of the score who returned within 24 hours.
    returned: tuple[_Share, ...] = ()


class Reference:
    """Columns with their counts by bin; `users` of them are independent, and so many rows count as."""

    def __init__(self, text: str) -> None:
        """Reads what `reference_of` has written.

        Raises:
            ConfigurationError: it is something else, or of another input.
        """
        try:
            read = msgspec.json.decode(text, type=_Text)
        except msgspec.DecodeError as error:
            raise ConfigurationError(f"no reference of the drift watch: {error}") from error
        if read.format != _FORMAT or read.input_digest != INPUT_DIGEST:
            raise ConfigurationError(
                f"the reference of the drift watch is {read.format} of input {read.input_digest}, this version reads"
                f" {_FORMAT} of {INPUT_DIGEST}: train the model again, or make one with `forestay watch`"
            )
        self.text = text
        self.moments = read.moments
        self.users = read.users
        self.returned = read.returned
        self.columns = tuple(Column(one.name, one.edges, one.values) for one in read.columns)
        self.counts = tuple(np.array(one.counts) for one in read.columns)
        self._check()

    def _check(self) -> None:
        for column, counts in zip(self.columns, self.counts, strict=True):
            rising = all(np.diff(column.edges) > 0) and all(np.diff(column.values) > 0)
            known = column.name == SCORE or is_column(column.name)
            if not (known and rising and len(counts) == column.bins > 1 and counts.sum() > 0):
                raise ConfigurationError(f"no reference of the drift watch: its column {column.name} makes no sense")
        names = [column.name for column in self.columns]
        if (
            len(set(names)) < len(names)
            or self.users < 1
            or (self.returned and len(self.returned) != self._score_bins())
        ):
            raise ConfigurationError("no reference of the drift watch: it makes no sense")

    def _score_bins(self) -> int:
        return next((column.bins for column in self.columns if column.name == SCORE), 0)


def reference_of(
    inputs: ModelInput,
    probabilities: NDArray[np.floating] | None = None,
    *,
    users: Sequence[str] | NDArray[np.str_] | None = None,
    returned: NDArray[np.floating] | None = None,
    moments: Moments = "cutoffs",
    watched: Sequence[str] = WATCHED,
) -> str:
    """Returns the reference that these rows make, at most `MAX_CHARACTERS` long.

    `inputs` has N first. `probabilities` (N,): what the model answers on them, calibrated. `users` (N,): whose rows
    they are; rows of one user are much alike, so that users count, and not rows. `returned` (N,): 1 for who ordered
    within 24 hours, 0 for who did not, nan where that is not known. Columns that are the same in all rows are left
    out.

    Raises:
        ConfigurationError: there are too few rows.
    """
    rows = len(inputs.features)
    independent = rows if users is None else len(set(users))
    return reference_of_numbers(
        numbers_of(inputs, watched), probabilities, returned, watched, moments=moments, users=independent
    )


def reference_of_numbers(
    numbers: NDArray[np.float64],
    probabilities: NDArray[np.floating] | None,
    returned: NDArray[np.floating] | None,
    watched: Sequence[str],
    *,
    moments: Moments,
    users: int,
) -> str:
    """Returns the reference of columns that are taken out already: `numbers` (N, columns); see `reference_of`."""
    if len(numbers) < LEAST_ROWS:
        raise ConfigurationError(f"{len(numbers)} rows make no reference: {LEAST_ROWS} are the least")
    columns = {name: numbers[:, index] for index, name in enumerate(watched)}
    if probabilities is not None:
        columns[SCORE] = np.asarray(probabilities, np.float64)
    binned = []
    for name, own in columns.items():
        known = own[np.isfinite(own)]
        column = fitted(name, known) if len(known) else None
        if column is not None:
            counts = np.bincount(column.bin(known), minlength=column.bins)
            binned.append(_Binned(name, tuple(map(int, counts)), column.edges, column.values))
    table: tuple[float, ...] = ()
    if returned is not None and probabilities is not None and binned and binned[-1].name == SCORE:
        score = Column(SCORE, binned[-1].edges)
        table = _returned(score, np.asarray(probabilities, np.float64), np.asarray(returned, np.float64))
    text = msgspec.json.encode(_Text(_FORMAT, INPUT_DIGEST, moments, users, tuple(binned), table)).decode()
    if len(text) > MAX_CHARACTERS:
        raise ConfigurationError(f"a reference of {len(text)} characters: watch fewer than {len(watched)} columns")
    return text


def _returned(score: Column, probabilities: NDArray[np.float64], returned: NDArray[np.float64]) -> tuple[float, ...]:
    known = np.isfinite(probabilities) & np.isfinite(returned)
    bins = score.bin(probabilities[known])
    rows = np.bincount(bins, minlength=score.bins)
    if not rows.all():
        return ()
    came = np.bincount(bins, weights=returned[known], minlength=score.bins)
    return tuple(round(float(share), 6) for share in came / rows)
