"""Gates that run the graph in ONNX Runtime, as Triton does: what it answers, and how fast."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forestay.core.decision.model_input import HOUR_TOKENS, KIND_TOKENS, NUMBER_COLUMNS, TOKEN_COLUMNS, ModelInput
from forestay.core.errors import ConfigurationError
from forestay.core.families.sequence import CATEGORY_TOKENS, ITEM_TOKENS, MAX_STEPS
from forestay.core.feature_set import FEATURE_COUNT
from forestay.core.units import DAY, HOUR
from forestay.shell.scoring.served import CONTRIBUTIONS, OUTPUT, SURVIVAL, Version
from forestay.shipping.folder import CONFIG, GRAPH, part
from forestay.shipping.gates.verdict import Outcome, Verdict, judged
from forestay.shipping.triton_config import parameters_of, read_config

#: Rows of the batch that is timed: what a user costs least in on a CPU.
ROWS: Final = 32
#: Seconds for such a batch that are always good enough: 4,000 users a second want one every 8 ms.
BUDGET: Final = 0.008
#: Beyond that, it may cost so many times what the current version costs.
SLOWER: Final = 1.25
#: The share of the answers that the shape of the batch may change (float32 sums run in another order).
_TOLERANCE: Final = 1e-4
#: So near (as a probability) must an explanation add up to the answer.
_EXPLAINED: Final = 1e-3
_REPEATS: Final = 25

#: From an input to the outputs asked for.
Run = Callable[[ModelInput, list[str]], list[NDArray[np.float32]]]


class Graph(NamedTuple):
    """A graph that is open."""

    run: Run
    outputs: frozenset[str]
    config: Any


def open_graph(folder: Path) -> Graph:
    """Opens a version's graph with the threads its configuration names.

    Raises:
        ModuleNotFoundError: ONNX Runtime is not installed.
        Exception: it cannot be opened; ONNX Runtime's errors have no class in common.
    """
    import onnxruntime  # noqa: PLC0415 - what serves does without; only those who ship need it

    config = read_config(part(folder, CONFIG))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = int(parameters_of(config).get("intra_op_thread_count", "1"))
    session = onnxruntime.InferenceSession(str(folder / GRAPH), options, providers=["CPUExecutionProvider"])
    names = {one.name for one in session.get_inputs()}
    missing = names ^ set(ModelInput._fields)
    if missing:
        raise ValueError(f"its inputs are {', '.join(sorted(names))}, a worker sends {', '.join(ModelInput._fields)}")

    def run(batch: ModelInput, outputs: list[str]) -> list[NDArray[np.float32]]:
        return [np.asarray(one, np.float32) for one in session.run(outputs, batch._asdict())]

    return Graph(run, frozenset(one.name for one in session.get_outputs()), config)


def answers(folder: Path) -> Verdict:
    """The graph opens, and says probabilities of anybody: of made-up users and of one it knows nothing of."""
    try:
        graph = open_graph(folder)
        faults = _faults(graph)
    except ModuleNotFoundError:
        return _unjudged("graph")
    except Exception as error:  # noqa: BLE001 - whatever ONNX Runtime says of the file, it is why it is refused
        return Verdict("graph", Outcome.REFUSED, f"ONNX Runtime cannot run it: {first_line(error)}")
    return judged("graph", faults, "runs, and answers with probabilities")


def fast(folder: Path, current: Path | None) -> Verdict:
    """A batch costs no more than the budget, or hardly more than with the current version, timed in turns."""
    try:
        graphs = [open_graph(folder), *_opened(current)]
        seconds = _seconds(graphs)
    except ModuleNotFoundError:
        return _unjudged("latency")
    except Exception as error:  # noqa: BLE001 - as above
        return Verdict("latency", Outcome.REFUSED, f"ONNX Runtime cannot run it: {first_line(error)}")
    told = f"{seconds[0] * 1e3:.2f} ms for {ROWS} rows"
    if len(graphs) > 1:
        told += f", the current version {seconds[1] * 1e3:.2f} ms"
    bound = max([BUDGET, *(SLOWER * one for one in seconds[1:])])
    return judged("latency", [f"{told}: more than {bound * 1e3:.2f} ms"] if seconds[0] > bound else [], told)


def sample(rows: int, *, seed: int = 0) -> ModelInput:
    """Returns an input of made-up users; the first knows nothing: all zeros."""
    chance = np.random.default_rng(seed)
    limits = (KIND_TOKENS, ITEM_TOKENS, CATEGORY_TOKENS, HOUR_TOKENS)
    tokens = np.stack([chance.integers(0, limit, (rows, MAX_STEPS)) for limit in limits], axis=-1).astype(np.int32)
    numbers = chance.normal(size=(rows, MAX_STEPS, len(NUMBER_COLUMNS))).astype(np.float32)
    features = chance.lognormal(2, 3, (rows, FEATURE_COUNT)).astype(np.float32)
    made = ModelInput(tokens, numbers, features)
    # Steps are left-padded: the rows get longer and longer histories.
    for row in range(rows):
        padding = MAX_STEPS - MAX_STEPS * row // max(rows - 1, 1)
        made.step_tokens[row, :padding], made.step_numbers[row, :padding] = 0, 0
    made.features[0] = 0
    assert tokens.shape[2] == len(TOKEN_COLUMNS)  # noqa: S101 - one limit a column
    return made


def _faults(graph: Graph) -> list[str]:
    declared = {output.name for output in graph.config.output}
    lacking = sorted(({OUTPUT} | declared) - graph.outputs) or sorted({OUTPUT} - declared)
    if lacking:
        return [f"graph and config.pbtxt do not both have the output {', '.join(lacking)}"]
    batch = sample(ROWS)
    (together,) = graph.run(batch, [OUTPUT])
    if together.shape != (ROWS, 1):
        return [f"{OUTPUT} has shape {together.shape}, not ({ROWS}, 1)"]
    if not np.isfinite(together).all() or together.min() < 0 or together.max() > 1:
        return [f"{OUTPUT} holds what is no probability: {float(together.min())} to {float(together.max())}"]
    faults = []
    some = (0, ROWS // 4, ROWS - 1)
    alone = [graph.run(_row(batch, row), [OUTPUT])[0][0] for row in some]
    if np.abs(np.stack(alone) - together[[*some]]).max() > _TOLERANCE:
        faults.append("a user's answer depends on who else is in the batch")
    if CONTRIBUTIONS in declared:
        faults += _explanation_faults(graph, batch, together)
    if SURVIVAL in declared:
        faults += _curve_faults(graph, batch, together)
    return faults


def _row(batch: ModelInput, row: int) -> ModelInput:
    one = slice(row, row + 1)
    return ModelInput(batch.step_tokens[one], batch.step_numbers[one], batch.features[one])


def _explanation_faults(graph: Graph, batch: ModelInput, probabilities: NDArray[np.float32]) -> list[str]:
    parameters = parameters_of(graph.config)
    groups, bias = parameters.get("groups", "").split(","), parameters.get("bias")
    (contributions,) = graph.run(batch, [CONTRIBUTIONS])
    if bias is None or contributions.shape != (ROWS, len(groups)):
        return [
            f"{CONTRIBUTIONS} has shape {contributions.shape}, with {len(groups)} groups and bias {bias} declared"
        ]
    told = contributions.sum(axis=1, dtype=np.float64) + float(bias)
    off = np.abs(1 / (1 + np.exp(-told)) - probabilities[:, 0]).max()
    return [f"contributions and bias do not add up to the answer: {off:.2g} away"] if off > _EXPLAINED else []


def _curve_faults(graph: Graph, batch: ModelInput, probabilities: NDArray[np.float32]) -> list[str]:
    """Says what is wrong with the curve: one of other edges than declared costs a worker every answer."""
    try:
        version = Version.of("", parameters_of(graph.config), graph.config.name, frozenset({SURVIVAL}))
    except ConfigurationError as error:
        return [str(error)]
    hours = version.hours
    (curve,) = graph.run(batch, [SURVIVAL])
    if not hours or curve.shape != (ROWS, len(hours)):
        return [f"{SURVIVAL} has shape {curve.shape}, with {len(hours)} horizons declared"]
    rises = np.diff(curve, axis=1, prepend=1.0)
    if not np.isfinite(curve).all() or curve.min() < 0 or rises.max() > _TOLERANCE or sorted(set(hours)) != [*hours]:
        return [f"{SURVIVAL} is no curve: shares fall from 1 to 0 as horizons rise"]
    edge = version.model.horizon_days * (DAY // HOUR)
    if edge not in hours:
        return []
    off = np.abs(curve[:, hours.index(edge)] - probabilities[:, 0]).max()
    return [f"{SURVIVAL} at the horizon is not the answer: {off:.2g} away"] if off > _EXPLAINED else []


def _opened(current: Path | None) -> list[Graph]:
    """Returns the current version's graph; where that does not run either, there is nothing to compare with."""
    try:
        return [] if current is None else [open_graph(current)]
    except Exception:  # noqa: BLE001 - ONNX Runtime's errors have no class in common
        return []


def _seconds(graphs: list[Graph]) -> list[float]:
    """Returns each graph's shortest time for a batch: what it takes where nothing else runs."""
    batch = sample(ROWS)
    best = [float("inf")] * len(graphs)
    for graph in graphs:
        graph.run(batch, [OUTPUT])
    for _ in range(_REPEATS):
        for number, graph in enumerate(graphs):
            started = time.perf_counter()
            graph.run(batch, [OUTPUT])
            best[number] = min(best[number], time.perf_counter() - started)
    return best


def _unjudged(gate: str) -> Verdict:
    return Verdict(gate, Outcome.UNJUDGED, "ONNX Runtime is not installed here: pip install onnxruntime")


def first_line(error: Exception) -> str:
    """Returns the first line of what an error says, or its name."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
