"""The faults as actions: each is done at its moment, and undone some time later where that is part of it."""

import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

from kafka.errors import KafkaError

from forestay_chaos.cluster import Node
from forestay_chaos.field import Field
from forestay_chaos.recording import Recorder
from forestay_chaos.scenario import SIGNALS, Fault
from forestay_chaos.stages import REBALANCING
from forestay_chaos.workers import Worker

#: How much longer than the session a worker stands still (seconds): its place has been given away when it wakes.
_BEYOND_SESSION = 2.0
#: What has to be waited for is looked at again and again, for so long in all (seconds) and no longer.
_LOOK_AGAIN = 0.2
_TRIES = 60


def schedule(field: Field) -> None:
    """Puts all faults of the scenario on the field's clock."""
    for fault in field.scenario.faults:
        action = _ACTIONS[fault.base]
        field.at(fault.at, partial(action, field, fault))


def victim_options(faults: tuple[Fault, ...], number: int, folder: Path) -> list[str]:
    """Returns the options of `forestay_chaos.victim` for worker `number`; none if it is no victim."""
    options: list[str] = []
    for fault in faults:
        if fault.stage and fault.who == number:
            word = SIGNALS[fault.base.removeprefix("worker-")]
            options += ["--at", fault.stage, "--passage", str(fault.passage), "--signal", word]
            options += ["--armed-by", str(_armed(folder, number))]
        if fault.kind == "clock-jump" and fault.who % 2 == number:
            # Counted from its start, which is some seconds before the traffic's.
            options += ["--jump-after", str(fault.at + 3.0), f"--jump-by={fault.detail}"]
    return options


def _armed(folder: Path, number: int) -> Path:
    return folder / f"armed-{number}"


def _pick(field: Field, fault: Fault) -> Worker | None:
    """Returns a worker that is at work; one that is no other fault's victim if there is such."""
    victims = {f"w{other.who}" for other in field.scenario.faults if other.stage}
    able = [worker for worker in field.workers.all if worker.wanted and worker.running]
    able = [worker for worker in able if worker.name not in victims] or able
    return able[fault.who % len(able)] if able else None


# -- workers -----------------------------------------------------------------------------------------------


def _strike_worker(field: Field, fault: Fault) -> None:
    if fault.stage:
        _arm(field, fault)
        return
    worker = _pick(field, fault)
    if worker is None:
        field.note(f"{fault.kind}: nobody is there")
        return
    number = signal.Signals[SIGNALS[fault.base.removeprefix("worker-")]]
    held = tuple(worker.partitions)
    field.strike(worker, fault.kind, number, held)
    if number == signal.SIGSTOP:
        field.later(stall_seconds(field), partial(wake, field, worker))


def stall_seconds(field: Field) -> float:
    """Returns how long a worker stands still."""
    return field.scenario.session + _BEYOND_SESSION


def wake(field: Field, worker: Worker) -> None:
    """Lets a worker that stood still go on."""
    worker.signal(signal.SIGCONT)
    field.note(f"{worker.name} goes on")


def _arm(field: Field, fault: Fault) -> None:
    """Lets the victim be struck when it next comes by the stage; for stages of a rebalance, sees that it does."""
    worker = field.workers.all[fault.who]
    _armed(field.folder, fault.who).touch()
    field.note(f"{fault.kind}: {worker.name} is struck at passage {fault.passage}")
    if fault.stage in REBALANCING:
        field.later(0.1, partial(_join, field, fault))


def _join(field: Field, fault: Fault) -> None:
    worker = field.make_worker()
    field.workers.all.append(worker)
    worker.start()
    if fault.kind == "worker-join":
        field.did(fault.kind, worker.name)
    else:
        field.note(f"{worker.name} joins for {fault.kind}")


def _leave(field: Field, fault: Fault) -> None:
    worker = _pick(field, fault)
    if worker is None or sum(each.wanted for each in field.workers.all) < 2:  # noqa: PLR2004 - somebody must stay
        field.note("worker-leave: nobody can be spared")
        return
    worker.wanted = False
    field.strike(worker, fault.kind, signal.SIGTERM, tuple(worker.partitions))


# -- brokers -----------------------------------------------------------------------------------------------


def _node(field: Field, fault: Fault) -> Node:
    if fault.kind.startswith("controller"):
        try:
            return field.cluster.controller()
        except KafkaError:
            field.note("nobody tells who the controller is: any broker then")
    return field.cluster.nodes[fault.who % len(field.cluster.nodes)]


def _kill_broker(field: Field, fault: Fault) -> None:
    node = _node(field, fault)
    field.did(fault.kind, f"broker {node.number}, {fault.lasts:g} s")
    node.kill()
    field.later(fault.lasts, partial(_start_broker, field, node))


def _restart_broker(field: Field, fault: Fault) -> None:
    node = _node(field, fault)
    field.did(fault.kind, f"broker {node.number}")
    node.send(signal.SIGTERM)
    field.later(_LOOK_AGAIN, partial(_start_when_ended, field, node, 2 * _TRIES))


def _start_when_ended(field: Field, node: Node, tries: int) -> None:
    """Looks every 0.2 s whether the broker has ended; kills one that does not."""
    if node.running and tries > 0:
        field.later(_LOOK_AGAIN, partial(_start_when_ended, field, node, tries - 1))
        return
    node.kill()
    _start_broker(field, node)


def _start_broker(field: Field, node: Node) -> None:
    node.start()
    field.note(f"broker {node.number} starts")


def _stall_broker(field: Field, fault: Fault) -> None:
    node = _node(field, fault)
    field.did(fault.kind, f"broker {node.number}, {2 * fault.lasts:g} s")
    node.send(signal.SIGSTOP)

    def go_on() -> None:
        node.send(signal.SIGCONT)
        field.note(f"broker {node.number} goes on")

    # Some within a broker's session of 3 s, some beyond.
    field.later(2 * fault.lasts, go_on)


# -- Triton, recorder, clock -------------------------------------------------------------------------------


def _strike_triton(field: Field, fault: Fault) -> None:
    field.did(fault.kind, f"{fault.detail} {fault.lasts:g} s")
    if fault.kind == "triton-kill":
        field.triton.kill()
    elif fault.kind == "triton-stall":
        field.triton.stall()
    else:
        field.triton.lie(fault.detail)

    def mend() -> None:
        field.mending.append(field.triton.mend())
        field.note("Triton is mended")

    field.later(fault.lasts, mend)


def _fill_disk(field: Field, fault: Fault, tries: int = _TRIES) -> None:
    """Fills the recorder's disk once it has sealed a part, so that there is something to go on from."""
    recorder = field.recorder
    if recorder is None:
        return
    if not recorder.sealed and tries > 0:
        field.later(_LOOK_AGAIN, partial(_fill_disk, field, fault, tries - 1))
        return
    field.note(f"{fault.kind}: no file of the recorder grows any more")
    recorder.fill_disk()
    field.later(_LOOK_AGAIN, partial(_make_room, field, recorder, _TRIES))


def _make_room(field: Field, recorder: Recorder, tries: int) -> None:
    """Starts the recorder again when it has given up."""
    if recorder.running and tries > 0:
        field.later(_LOOK_AGAIN, partial(_make_room, field, recorder, tries - 1))
        return
    if recorder.running:
        field.note("the recorder had nothing more to write")
    else:
        field.did("recorder-disk-full", f"the recorder has ended with {recorder.status}: there is room again")
    recorder.make_room()


def _jump(field: Field, fault: Fault) -> None:
    """The victim does it by itself; this is the moment it was asked for."""
    field.did(fault.kind, f"by {fault.detail} s")


_ACTIONS: dict[str, Callable[[Field, Fault], None]] = {
    "worker-kill": _strike_worker,
    "worker-term": _strike_worker,
    "worker-stall": _strike_worker,
    "worker-join": _join,
    "worker-leave": _leave,
    "broker-kill": _kill_broker,
    "broker-restart": _restart_broker,
    "broker-stall": _stall_broker,
    "controller-kill": _kill_broker,
    "controller-stall": _stall_broker,
    "triton-kill": _strike_triton,
    "triton-stall": _strike_triton,
    "triton-lie": _strike_triton,
    "recorder-disk-full": _fill_disk,
    "clock-jump": _jump,
}
