"""scripts/bench model: users a second through Triton, beside ONNX Runtime alone on the same batches, in turns."""

import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import tritonclient.grpc.aio as triton
from rich.table import Table

from forestay.core.decision.model_input import ModelInput
from forestay.embedded.triton import EmbeddedTriton
from forestay_bench.model_rows import CUTS, WHOLE, batches
from forestay_bench.model_served import Model
from forestay_bench.model_sides import Bare, Served, Turn
from forestay_bench.screen import Screen

#: A turn was disturbed where others used more than this share of a core.
_DISTURBED: Final = 0.1


@dataclass(frozen=True)
class Case:
    """One comparison. `instances` of one thread each on either side; `in_flight` batches are under way at Triton."""

    size: int
    how: str
    instances: int = 1
    in_flight: int = 4


@dataclass(frozen=True)
class Pace:
    """Each case: `rounds` turns of `seconds` a side, after a warm-up."""

    seconds: float
    rounds: int
    warm_up: float = 0.5


CASES: Final = (
    *(Case(size, how) for how in (WHOLE, "trimmed") for size in (1, 8, 32, 64)),
    Case(1, "trimmed", in_flight=1),
    *(Case(size, "by length") for size in (32, 64, 256)),
    *(Case(32, how, instances=2, in_flight=6) for how in CUTS),
)


@dataclass(frozen=True)
class Compared:
    """Medians over the turns of one case; `ratio` is the median of the turns' own, with the lowest and highest.

    Rates are users a second, times of one batch at Triton milliseconds, CPU microseconds a user.
    """

    case: Case
    bare: float
    served: float
    ratio: float
    ratio_low: float
    ratio_high: float
    p50: float
    p99: float
    bare_cpu: float
    served_cpu: float
    disturbed: bool

    @classmethod
    def of(cls, case: Case, turns: Sequence[tuple[Turn, Turn]]) -> "Compared":
        """Returns what the turns of ONNX Runtime alone and of Triton, in pairs, come to."""
        ratios = [served.rate / bare.rate for bare, served in turns]
        times = sorted(second * 1e3 for _, served in turns for second in served.seconds_of)
        return cls(
            case,
            bare=statistics.median(bare.rate for bare, _ in turns),
            served=statistics.median(served.rate for _, served in turns),
            ratio=statistics.median(ratios),
            ratio_low=min(ratios),
            ratio_high=max(ratios),
            p50=times[len(times) // 2],
            p99=times[len(times) * 99 // 100],
            bare_cpu=statistics.median(bare.cpu / bare.users for bare, _ in turns) * 1e6,
            served_cpu=statistics.median(served.cpu / served.users for _, served in turns) * 1e6,
            disturbed=any(turn.others > _DISTURBED * turn.seconds for pair in turns for turn in pair),
        )

    def as_json(self) -> dict[str, Any]:
        """Returns it flat."""
        found = asdict(self)
        return {**found.pop("case"), **found}


async def compare(
    model: Model, users: ModelInput, cases: Sequence[Case], pace: Pace, screen: Screen
) -> list[Compared]:
    """Measures the cases the model can be asked in, with one Triton for each number of instances."""
    asked = [case for case in cases if model.any_length or case.how == WHOLE]
    found: list[Compared] = []
    for instances in sorted({case.instances for case in asked}):
        own = [case for case in asked if case.instances == instances]
        with tempfile.TemporaryDirectory() as folder:
            here = Path(folder)
            model.alone(here / "models", instances)
            bare = Bare(model.file, model.outputs, instances)
            async with (
                EmbeddedTriton(model_repository=here / "models", log=here / "log", progress=screen.note) as server,
                triton.InferenceServerClient(server.grpc_address) as client,
            ):
                served = Served(client, model.config.name, model.outputs, server.process.pid)
                for case in own:
                    found.append(await _compared(case, bare, served, users, pace))
                    screen.note(_line(found[-1]))
    return found


async def _compared(case: Case, bare: Bare, served: Served, users: ModelInput, pace: Pace) -> Compared:
    asked = batches(users, case.size, CUTS[case.how])
    bare.run(asked, pace.warm_up)
    await served.run(asked, pace.warm_up, case.in_flight)
    turns = [
        (bare.run(asked, pace.seconds), await served.run(asked, pace.seconds, case.in_flight))
        for _ in range(pace.rounds)
    ]
    return Compared.of(case, turns)


def _line(one: Compared) -> str:
    case = one.case
    return (
        f"{case.size} users, {case.how}, {case.instances} x 1 thread: {one.served:,.0f} users/s through Triton,"
        f" {one.ratio:.2f} of ONNX Runtime alone"
    )


def table(found: Sequence[Compared]) -> Table:
    """Returns the comparisons as a table for a person."""
    shown = Table(title="Users/s through Triton and by ONNX Runtime alone, in turns; times of a batch in ms")
    names = (
        "batch",
        "sent",
        "instances",
        "in flight",
        "Triton",
        "alone",
        "ratio (turns)",
        "p50 / p99",
        "CPU µs a user",
    )
    for name in names:
        shown.add_column(name, justify="left" if name == "sent" else "right")
    for one in found:
        case = one.case
        shown.add_row(
            *(str(case.size), case.how, str(case.instances), str(case.in_flight)),
            *(f"{one.served:,.0f}", f"{one.bare:,.0f}"),
            f"{one.ratio:.2f} ({one.ratio_low:.2f} to {one.ratio_high:.2f}){' disturbed' if one.disturbed else ''}",
            f"{one.p50:.2f} / {one.p99:.2f}",
            f"{one.served_cpu:.0f} / {one.bare_cpu:.0f}",
        )
    return shown
