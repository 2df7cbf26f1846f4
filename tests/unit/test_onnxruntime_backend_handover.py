"""The stand-in's batches side by side: all that was taken is answered, in whatever shape it comes."""

import importlib.util
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import forestay.embedded

MODEL = Path(forestay.embedded.__file__).parent / "triton_backend" / "onnxruntime" / "model.py"


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Returns the backend's module, which Triton loads by path, beside a stand-in of Triton's own."""
    logged = SimpleNamespace(log_info=lambda _: None, log_error=lambda _: None)
    stub: Any = ModuleType("triton_python_backend_utils")
    stub.Logger, stub.TRITONSERVER_RESPONSE_COMPLETE_FINAL = logged, 1
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", stub)
    spec = importlib.util.spec_from_file_location("onnxruntime_backend", MODEL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Request:
    """One request of so many rows, and the answers it got; `gone`: nobody waits for them."""

    def __init__(self, *shape: int, gone: bool = False) -> None:
        self._shape, self._gone = list(shape), gone
        self.answers: list[Any] = []

    def inputs(self) -> list[Any]:
        return [SimpleNamespace(shape=lambda: self._shape)]

    def get_response_sender(self) -> "Request":
        return self

    def send(self, response: Any, *, flags: int) -> None:
        assert flags == 1
        if self._gone:
            raise RuntimeError("nobody is there")
        self.answers.append(response)


def test_a_number_without_an_axis_is_a_small_batch(backend: Any) -> None:
    assert backend._is_small([Request()])
    assert backend._is_small([Request(1, 64), Request(3, 64)])
    assert not backend._is_small([Request(2, 64), Request(3, 64)])


def test_what_was_taken_is_answered_before_the_model_goes(backend: Any) -> None:
    computing = threading.Semaphore(0)

    def answers(requests: Sequence[Request]) -> list[int]:
        computing.acquire()
        return [id(request) for request in requests]

    pipeline = backend._Pipeline(answers)
    batches = [[Request(8), Request(2, gone=True), Request(1)] for _ in range(2)]
    for batch in batches:
        pipeline.take(batch)
    assert not pipeline.is_idle()
    computing.release(2)
    pipeline.finish()
    assert pipeline.is_idle()
    for batch in batches:
        assert [one.answers for one in batch] == [[id(batch[0])], [], [id(batch[2])]]
