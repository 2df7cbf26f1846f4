"""What is done to a run, and when: drawn from its seed alone, so that the seed names the run."""

import random
from dataclasses import dataclass
from typing import Final, NamedTuple

from forestay_chaos.errors import ChaosError
from forestay_chaos.stages import FLOWING, STAGES
from forestay_chaos.triton import LIES

#: Signals of blows to workers, by the word in a fault's name.
SIGNALS: Final = {"kill": "SIGKILL", "term": "SIGTERM", "stall": "SIGSTOP"}
_BROKERS: Final = ("broker-kill", "broker-restart", "broker-stall", "controller-kill", "controller-stall")
_TRITON: Final = ("triton-kill", "triton-stall", "triton-lie")
#: Kinds of which one at a time is enough: two brokers of three down are not what is promised.
_ALONE: Final = (_BROKERS, _TRITON, ("recorder-disk-full",), ("worker-leave",), ("clock-jump",))
#: Every kind of fault. A word after @ is the stage of the batch at which a worker is struck.
KINDS: Final = (
    "worker-kill",
    "worker-term",
    "worker-stall",
    *(f"worker-kill@{stage}" for stage in STAGES),
    *(f"worker-term@{stage}" for stage in FLOWING),
    *(f"worker-stall@{stage}" for stage in FLOWING),
    "worker-join",
    "worker-leave",
    *_BROKERS,
    *_TRITON,
    "recorder-disk-full",
    "clock-jump",
)
#: Those that any engine can meet.
PLAIN_KINDS: Final = tuple(
    kind for kind in KINDS if kind.startswith(("worker", "broker", "controller")) and "@" not in kind
)
_JUMPS: Final = (-26 * 3_600.0, -3_600.0, -30.0, 30.0, 3_600.0, 26 * 3_600.0)


class Fault(NamedTuple):
    """One fault: its kind, its moment (seconds after the first record), who (a number, modulo those there are).

    `lasts`: seconds until it is undone, where it is. `passage`: which time the worker comes by the stage after the
    moment. `detail`: the lie, or the jump of the clock in seconds.
    """

    kind: str
    at: float
    who: int
    lasts: float
    passage: int = 1
    detail: str = ""

    @property
    def base(self) -> str:
        """Returns the kind without the stage."""
        return self.kind.partition("@")[0]

    @property
    def stage(self) -> str:
        """Returns the stage, nothing where the moment alone counts."""
        return self.kind.partition("@")[2]


@dataclass(frozen=True)
class Scenario:
    """A run: its traffic's size, how the workers are set, and its faults in the order of their moments.

    `reload`: before the probes all workers are killed, so that what a zombie did to the changelog shows in the end.
    """

    seed: int
    seconds: float
    rate: float
    partitions: int
    workers: int
    static: bool
    web: bool
    session: float
    commit: float
    barrier: float
    reload: bool
    faults: tuple[Fault, ...]

    def title(self) -> str:
        """Returns it in a line."""
        members = "static" if self.static else "dynamic"
        faults = ", ".join(f"{fault.kind} at {fault.at:.1f} s" for fault in self.faults)
        return f"seed {self.seed}: {self.workers} {members} workers; {faults}"


def chosen(names: str, possible: tuple[str, ...] = KINDS) -> tuple[str, ...]:
    """Returns the kinds named, by commas, of those `possible`.

    A kind without a stage stands for it at all stages too, `plain` for what any engine can meet.

    Raises:
        ChaosError: one is no kind, or no such is possible.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if not wanted:
        return possible
    if wanted == ["plain"]:
        return PLAIN_KINDS
    for name in wanted:
        if name not in KINDS and not any(kind.startswith(name) for kind in KINDS):
            bases = sorted({kind.partition("@")[0] for kind in KINDS})
            raise ChaosError(
                f"no such fault: {name}; there are {', '.join(bases)}, and workers' @ {', '.join(STAGES)}"
            )
    found = tuple(
        kind
        for kind in possible
        if any(name in (kind, kind.partition("@")[0]) or kind.startswith(f"{name}-") for name in wanted)
    )
    if not found:
        raise ChaosError(f"nothing of {names} can befall this engine; it can meet {', '.join(possible)}")
    return found


def compose(seed: int, kinds: tuple[str, ...] = KINDS, seconds: float | None = None) -> Scenario:
    """Returns the run of a seed: the first fault goes through all kinds as seeds count up, the others are drawn."""
    draw = random.Random(f"scenario {seed}")  # noqa: S311 - the same run for the same seed is the point
    length = seconds or round(draw.uniform(4.5, 6.5), 1)
    workers = draw.choice((2, 2, 3))
    names = _names(seed, kinds, draw)
    faults = sorted((_fault(name, draw, length) for name in names), key=lambda fault: fault.at)
    return Scenario(
        seed=seed,
        seconds=length,
        rate=draw.choice((100.0, 200.0, 300.0)),
        partitions=4,
        workers=workers,
        static=draw.choice((True, False, False)),
        web=draw.choice((True, False)),
        session=draw.choice((3.0, 4.0, 5.0)),
        commit=draw.choice((0.1, 0.2, 0.5)),
        # Shorter than a stall the worker gives up as soon as it wakes; longer, only a fence keeps it from writing.
        barrier=draw.choice((4.0, 10.0)),
        reload=any(fault.base == "worker-stall" for fault in faults) or draw.choice((True, False, False)),
        faults=_one_victim_a_worker(faults, workers),
    )


def first_kind(seed: int, kinds: tuple[str, ...]) -> str:
    """Returns the first fault's kind: twice as many seeds in a row as there are kinds have each at both parities.

    Traffic of even seeds can be foretold wholly; in that of odd seeds ids become one.
    """
    count = len(kinds)
    # An even number of kinds would give each of them seeds of one parity alone.
    shift = 0 if count % 2 else seed // count % 2
    return kinds[(seed + shift) % count]


def _names(seed: int, kinds: tuple[str, ...], draw: random.Random) -> list[str]:
    names = [first_kind(seed, kinds)]
    bases = sorted({kind.partition("@")[0] for kind in kinds})
    for _ in range(draw.choice((0, 1, 1, 2, 3))):
        base = draw.choice(bases)
        name = draw.choice([kind for kind in kinds if kind.partition("@")[0] == base])
        if not any(name in alone and other in alone for alone in _ALONE for other in names):
            names.append(name)
    return names


def _fault(kind: str, draw: random.Random, seconds: float) -> Fault:
    detail, stage = "", kind.partition("@")[2]
    if kind == "triton-lie":
        detail = draw.choice(sorted(LIES))
    if kind == "clock-jump":
        detail = str(draw.choice(_JUMPS))
    return Fault(
        kind=kind,
        at=round(draw.uniform(0.3, seconds - 1.5), 2),
        who=draw.randrange(60),
        lasts=round(draw.uniform(0.5, 4.0), 2),
        passage=draw.choice((1, 1, 2, 3, 5)) if stage in FLOWING else 1,
        detail=detail,
    )


def _one_victim_a_worker(faults: list[Fault], workers: int) -> tuple[Fault, ...]:
    """Gives each fault at a stage a worker of its own: a process is patched for one stage."""
    found: list[Fault] = []
    taken: set[int] = set()
    for fault in faults:
        if not fault.stage:
            found.append(fault)
            continue
        free = [(fault.who + step) % workers for step in range(workers)]
        free = [who for who in free if who not in taken]
        if free:
            taken.add(free[0])
            found.append(fault._replace(who=free[0]))
    return tuple(found)
