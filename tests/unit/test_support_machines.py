"""What tests start is stopped whole, also where it did not come up or ended by itself."""

import gc

import pytest
from support.embedded import running
from support.workers import WorkerProcess, worker

from forestay.embedded.lifecycle import Startable


class Machine(Startable):
    """Tells what becomes of it; a broken one does not start."""

    def __init__(self, name: str, told: list[str], *, broken: bool = False) -> None:
        self._name = name
        self._told = told
        self._broken = broken

    async def start(self) -> None:
        if self._broken:
            raise RuntimeError(self._name)
        self._told.append(f"{self._name} up")

    async def stop(self) -> None:
        self._told.append(f"{self._name} down")


def test_machines_are_stopped_in_the_other_order() -> None:
    told: list[str] = []
    with running(Machine("a", told), Machine("b", told)):
        told.append("work")
    assert told == ["a up", "b up", "work", "b down", "a down"]


def test_machines_are_stopped_after_a_test_that_failed() -> None:
    told: list[str] = []
    with pytest.raises(ZeroDivisionError), running(Machine("a", told)):
        told.append(str(1 / 0))
    assert told == ["a up", "a down"]


def test_a_machine_that_does_not_start_is_told_and_takes_the_others_down() -> None:
    told: list[str] = []
    with pytest.raises(RuntimeError, match="b"), running(Machine("a", told), Machine("b", told, broken=True)):
        told.append("work")
    assert told == ["a up", "a down"]


def test_a_worker_that_ended_by_itself_leaves_no_pipe_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WorkerProcess, "await_ready", lambda process: process._process.wait(60))
    with worker({"FORESTAY_KAFKA__SESSION_TIMEOUT_SECONDS": "0"}) as process:
        assert not process.running
    del process
    gc.collect()  # what was left open warns now, and warnings are errors here
