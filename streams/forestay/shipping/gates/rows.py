"""The gate that asks a candidate and the current version the same questions: the test rows of a training set.

Figures of two versions that were trained at different times are of different rows, and cannot be compared; the two
graphs on the same rows can. Intervals come from drawing users with replacement, both versions on the same draws.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from forestay.core.decision.model_input import INPUT_DIGEST, ModelInput
from forestay.core.units import DAY, to_milliseconds
from forestay.dataset.manifest import FORMAT
from forestay.dataset.plan import Split, span_text
from forestay.dataset.tables import SHAPES, array_of, read_batches
from forestay.shell.scoring.served import OUTPUT
from forestay.shipping.errors import ShippingError
from forestay.shipping.figures import Figure, read_figures
from forestay.shipping.gates.graph import Graph, first_line, open_graph
from forestay.shipping.gates.verdict import Outcome, Verdict, judged
from forestay.shipping.triton_config import parameters_of

_DRAWS: Final = 400
#: Fewer users who left, or who stayed, say nothing.
_FEWEST: Final = 30
#: Nearer to 0 or 1 a probability costs no more log-loss: float32 does not tell apart what lies nearer.
_EDGE: Final = 1e-7

Values = NDArray[np.float64]


class Compared(NamedTuple):
    """Rows N, and what two versions say of them."""

    users: NDArray[np.str_]
    #: 1 has left, 0 has not.
    churned: Values
    candidate: Values
    current: Values


def no_worse_here(candidate: Path, current: Path, data: Path) -> Verdict:
    """It is no worse than the current version on the test rows of the training set `data`."""
    try:
        compared = _compared(candidate, current, data)
    except ModuleNotFoundError:
        return Verdict("rows", Outcome.UNJUDGED, "ONNX Runtime is not installed here: pip install onnxruntime")
    except ShippingError as error:
        return Verdict("rows", Outcome.REFUSED, str(error))
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's errors have no class in common
        return Verdict("rows", Outcome.REFUSED, f"ONNX Runtime cannot run both: {first_line(error)}")
    area, loss = differences(compared)
    faults = []
    if area.high < 0:
        faults.append(f"AUC is worse than the current version's on the same rows: by {area}")
    if loss.low > 0:
        faults.append(f"log-loss is worse than the current version's on the same rows: by {loss}")
    rows = f"{len(compared.churned):,} test rows of {len(np.unique(compared.users)):,} users"
    return judged("rows", faults, f"beside the current version on {rows}: AUC {area}, log-loss {loss}")


def differences(compared: Compared) -> tuple[Figure, Figure]:
    """Returns what the candidate's AUC and log-loss are above the current version's, with 95 % intervals by user."""
    _, whose = np.unique(compared.users, return_inverse=True)
    ranked = [_Ranked(one, compared.churned) for one in (compared.candidate, compared.current)]
    losses = _loss(compared.candidate, compared.churned) - _loss(compared.current, compared.churned)
    chance = np.random.default_rng(0)
    areas, means = [], []
    for draw in range(_DRAWS + 1):
        count = int(whose.max()) + 1
        drawn = np.ones(count) if draw == 0 else np.bincount(chance.integers(0, count, count), minlength=count)
        weights = drawn[whose].astype(np.float64)
        areas.append(ranked[0].area(weights) - ranked[1].area(weights))
        means.append(float((weights * losses).sum() / weights.sum()))
    return _figure(areas), _figure(means)


class _Ranked:
    """Rows in the order of their probability, for the area under the curve at any weights."""

    def __init__(self, probabilities: Values, churned: Values) -> None:
        self._order = np.argsort(probabilities, kind="stable")
        told = probabilities[self._order]
        self._ties = np.flatnonzero(np.diff(told, prepend=-1.0))
        self._churned = churned[self._order]

    def area(self, weights: Values) -> float:
        """Returns the share of pairs, one who left and one who did not, in the right order; ties count half."""
        ordered = weights[self._order]
        left = np.add.reduceat(ordered * self._churned, self._ties)
        stayed = np.add.reduceat(ordered * (1 - self._churned), self._ties)
        below = np.cumsum(stayed) - stayed
        return float((left * (below + stayed / 2)).sum() / (left.sum() * stayed.sum()))


def _loss(probabilities: Values, churned: Values) -> Values:
    sure = np.clip(probabilities, _EDGE, 1 - _EDGE)
    loss: Values = -(churned * np.log(sure) + (1 - churned) * np.log(1 - sure))
    return loss


def _figure(values: list[float]) -> Figure:
    """Returns the value on all rows, and the interval of the draws after it."""
    low, high = np.quantile([one for one in values[1:] if np.isfinite(one)], (0.025, 0.975))
    return Figure(values[0], float(low), float(high))


def _compared(candidate: Path, current: Path, data: Path) -> Compared:
    graphs = [open_graph(candidate), open_graph(current)]
    label = _label(data, graphs)
    seen = max(_trained_until(one) for one in (candidate, current))
    users: list[str] = []
    found: list[list[Values]] = [[], [], []]
    for batch in _test_rows(data, label):
        if int(batch.column("at").cast(pa.int64()).to_numpy().min()) < seen:
            raise ShippingError(f"a version has seen what came after the test rows of {data}: name a later set")
        users += batch.column("user_id").to_pylist()
        arrays = {name: array_of(batch, name) for name in SHAPES}
        inputs = ModelInput(arrays["step_tokens"], arrays["step_numbers"], arrays["features"])
        answers = [graph.run(inputs, [OUTPUT])[0][:, 0] for graph in graphs]
        if not all(((one >= 0) & (one <= 1)).all() for one in answers):
            raise ShippingError(f"a version answers on test rows of {data} with what is no probability")
        for column, values in zip(found, (batch.column(label).to_numpy(), *answers), strict=True):
            column.append(values.astype(np.float64))
    churned, *told = (np.concatenate(column) if column else np.empty(0) for column in found)
    people = np.array(users)
    if min(len(np.unique(people[churned == kind])) for kind in (0, 1)) < _FEWEST:
        raise ShippingError(f"{data} has too few test rows with a known {label}: {len(churned)}")
    return Compared(people, churned, told[0], told[1])


def _test_rows(data: Path, label: str) -> Iterator[pa.RecordBatch]:
    for part in sorted((data / "rows").glob("*.parquet")):
        with part.open("rb") as file:
            for batch in read_batches(file, ["user_id", "at", "split", label, *SHAPES]):
                splits = np.array(batch.column("split").to_pylist())
                known = np.array(batch.column(label).is_valid())
                chosen = batch.filter(pa.array((splits == str(Split.TEST)) & known))
                if chosen.num_rows:
                    yield chosen


def _label(data: Path, graphs: list[Graph]) -> str:
    """Returns the column of the horizon that both versions are about.

    Raises:
        ShippingError: the set has none, or is not of this input.
    """
    try:
        manifest = json.loads((data / "manifest.json").read_bytes())
    except (OSError, ValueError) as error:
        raise ShippingError(f"{data} is no training set: `forestay dataset` makes one ({error})") from error
    if manifest.get("format") != FORMAT or manifest.get("input_digest") != INPUT_DIGEST:
        raise ShippingError(f"{data} is of another input than this code's: make it again with `forestay dataset`")
    parameters = [parameters_of(graph.config) for graph in graphs]
    if any(one.get("input_digest") != INPUT_DIGEST for one in parameters):
        raise ShippingError("the two versions do not read the same input: they cannot be asked the same")
    days = {one.get("horizon_days", "") for one in parameters}
    if len(days) > 1:
        raise ShippingError(f"the two versions have other horizons: {', '.join(sorted(days))} days")
    label = f"churned_{span_text(int(days.pop()) * DAY)}"
    if label not in manifest.get("labels", {label}):
        raise ShippingError(f"{data} has no {label}: make it with that horizon")
    return label


def _trained_until(folder: Path) -> int:
    told = read_figures(folder).trained_until
    if told is None:
        raise ShippingError(f"{folder} does not say until when it was trained")
    return to_milliseconds(datetime.fromisoformat(told))
