"""The two sides of `scripts/bench model`: the same model by ONNX Runtime alone, and by Triton over gRPC."""

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnxruntime
import tritonclient.grpc.aio as triton
from tritonclient.utils import np_to_triton_dtype

from forestay_bench.model_rows import Arrays, Batch
from forestay_bench.processes import busy_seconds, cpu_seconds, own_cpu_seconds


@dataclass
class Turn:
    """What one side did in its time. `seconds_of` are those of each batch; `cpu` is that of all its processes."""

    users: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    others: float = 0.0
    seconds_of: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Returns users a second."""
        return self.users / self.seconds


class Meter:
    """Measures a turn: its time, its CPU, and that of everybody else on the machine meanwhile."""

    def __init__(self, server: int | None) -> None:
        """`server`: the process whose CPU, with that of those below it, belongs to the turn too."""
        self._pids = [server] if server is not None else []
        self.turn = Turn()

    def __enter__(self) -> Turn:
        """Begins."""
        self._began, self._cpu, self._busy = time.perf_counter(), self._used(), busy_seconds()
        return self.turn

    def __exit__(self, *_: object) -> None:
        """Ends."""
        turn = self.turn
        turn.seconds, turn.cpu = time.perf_counter() - self._began, self._used() - self._cpu
        turn.others = max(0.0, busy_seconds() - self._busy - turn.cpu)

    def _used(self) -> float:
        return own_cpu_seconds() + cpu_seconds(self._pids)


class Bare:
    """ONNX Runtime alone: `instances` sessions with one thread each, every one asked from a thread of its own."""

    def __init__(self, model: Path, outputs: Sequence[str], instances: int) -> None:
        """Loads the model file, with the options that Triton's backend has: all optimizations, one thread."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        providers = ["CPUExecutionProvider"]
        self._sessions = [onnxruntime.InferenceSession(model, options, providers=providers) for _ in range(instances)]
        self._outputs = list(outputs)

    def run(self, batches: Sequence[Batch], seconds: float) -> Turn:
        """Asks about one batch after the other for so long."""
        turns = [Turn() for _ in self._sessions]
        end = time.perf_counter() + seconds
        threads = [
            threading.Thread(target=self._ask, args=(number, batches, end, turn)) for number, turn in enumerate(turns)
        ]
        with Meter(None) as whole:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        whole.users = sum(turn.users for turn in turns)
        whole.seconds_of = [one for turn in turns for one in turn.seconds_of]
        return whole

    def _ask(self, number: int, batches: Sequence[Batch], end: float, turn: Turn) -> None:
        session = self._sessions[number]
        for batch in _from(batches, number * len(batches) // len(self._sessions)):
            began = time.perf_counter()
            if began >= end:
                return
            for request in batch.requests:
                session.run(self._outputs, request)
            turn.seconds_of.append(time.perf_counter() - began)
            turn.users += batch.users


class Served:
    """A Triton server, asked over gRPC by `in_flight` askers in turn."""

    def __init__(self, client: triton.InferenceServerClient, name: str, outputs: Sequence[str], pid: int) -> None:
        """`pid`: the server's process, whose CPU is counted with that of those below it."""
        self._client = client
        self._name = name
        self._outputs = list(outputs)
        self._pid = pid

    async def run(self, batches: Sequence[Batch], seconds: float, in_flight: int) -> Turn:
        """Asks about one batch after the other for so long; the requests of one batch go side by side."""
        end = time.perf_counter() + seconds
        with Meter(self._pid) as turn:
            starts = (number * len(batches) // in_flight for number in range(in_flight))
            await asyncio.gather(*(self._asker(batches, start, end, turn) for start in starts))
        return turn

    async def _asker(self, batches: Sequence[Batch], start: int, end: float, turn: Turn) -> None:
        for batch in _from(batches, start):
            began = time.perf_counter()
            if began >= end:
                return
            if len(batch.requests) == 1:
                await self._ask(batch.requests[0])
            else:
                await asyncio.gather(*(self._ask(request) for request in batch.requests))
            turn.seconds_of.append(time.perf_counter() - began)
            turn.users += batch.users

    async def _ask(self, request: Arrays) -> None:
        result: Any = await self._client.infer(
            self._name,
            [_tensor(name, array) for name, array in request.items()],
            outputs=[triton.InferRequestedOutput(output) for output in self._outputs],
        )
        for output in self._outputs:
            assert len(result.as_numpy(output)) == len(request["features"])  # noqa: S101 # an answer for each user


def _tensor(name: str, array: Any) -> triton.InferInput:
    tensor = triton.InferInput(name, array.shape, np_to_triton_dtype(array.dtype))
    tensor.set_data_from_numpy(array)
    return tensor


def _from(batches: Sequence[Batch], start: int) -> Iterator[Batch]:
    while True:
        yield batches[start % len(batches)]
        start += 1
