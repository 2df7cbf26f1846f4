"""Triton takes a changed model without a stop: told to load it anew, asked until it has, and tried out.

A server in explicit mode is told; one that polls its repository is waited for; one that does neither has to be
started again, and the change is taken back until then.
"""

import contextlib
import time
from collections.abc import Iterator
from typing import Any, Final

import grpc
import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from forestay.settings import TritonSettings
from forestay.shell.scoring.rollout import Rollout
from forestay.shell.scoring.served import OUTPUT
from forestay.shell.triton_clients import advice, client_options, declared_parameters
from forestay.shipping.errors import ShippingError
from forestay.shipping.gates.graph import sample

#: Seconds for one question.
_PATIENCE: Final = 10.0
#: Seconds for loading.
_LOADING: Final = 60.0
#: Seconds for a server that polls to notice and load (it looks every 15 s unless told otherwise).
_POLLING: Final = 60.0
#: Seconds between two looks at whether it has.
_LOOK_EVERY: Final = 0.2
#: What Triton says of a load that is not for us to ask for, whether it polls or changes nothing while it runs.
_POLLS: Final = "polling is enabled"


class TritonServer:
    """A Triton that serves the folder being changed."""

    def __init__(self, settings: TritonSettings) -> None:
        """Connects at each use."""
        self._settings = settings

    def check(self) -> None:
        """Makes sure, before anything is changed, that a server is there.

        Raises:
            ShippingError: none is.
        """
        with self._client("does not answer, and nothing was changed") as client:
            if not client.is_server_live(client_timeout=_PATIENCE):
                raise ShippingError(f"Triton at {self._settings.url} answers, but is not live: look at its log")

    def take(self, then: Rollout) -> None:
        """See `Server.take`.

        Raises:
            ShippingError: it does not.
        """
        with self._client() as client:
            # What has been told to load has loaded when it answers.
            patience = _POLLING if self._load(client) else 0
            self._wait(client, then, patience)
            for number in then.asked:
                self._try(client, number)

    def take_back(self) -> None:
        """See `Server.take_back`. A server that polls does so by itself."""
        with contextlib.suppress(ShippingError), self._client() as client:
            self._load(client)

    @contextlib.contextmanager
    def _client(self, failed: str = "did not take it") -> Iterator[Any]:
        settings = self._settings
        client = triton.InferenceServerClient(**client_options(settings))
        try:
            yield client
        except (InferenceServerException, grpc.RpcError) as error:
            said = _said(error)
            hint = advice(settings, said) or "--triton-url names another, --no-reload changes the files alone"
            raise ShippingError(f"Triton at {settings.url} {failed}: {said} ({hint})") from error
        finally:
            client.close()

    def _load(self, client: Any) -> bool:
        """Tells the server to load the model anew; returns whether it does so in its own time."""
        try:
            client.load_model(self._settings.model, client_timeout=_LOADING)
        except InferenceServerException as error:
            said = _said(error)
            if _POLLS in said:
                return True
            raise
        return False

    def _wait(self, client: Any, then: Rollout, patience: float) -> None:
        """Waits until the server's configuration is that of the change, and the versions asked are ready."""
        model, until = self._settings.model, time.monotonic() + patience
        while True:
            config = client.get_model_config(model, as_json=True, client_timeout=_PATIENCE)["config"]
            found = Rollout.of(declared_parameters(config))
            if found == then and all(
                client.is_model_ready(model, str(number), client_timeout=_PATIENCE) for number in then.asked
            ):
                return
            if time.monotonic() > until:
                there = "another configuration" if found != then else "not all versions ready"
                mode = ", and run with --model-control-mode=explicit or poll" if patience else ""
                raise ShippingError(
                    f"Triton at {self._settings.url} has {there} after {patience:.0f} s: does it serve this folder"
                    f"{mode}? --no-reload changes the files alone"
                )
            time.sleep(_LOOK_EVERY)

    def _try(self, client: Any, number: int) -> None:
        batch = sample(2)
        tensors = []
        for name, array in batch._asdict().items():
            tensor = triton.InferInput(name, array.shape, np_to_triton_dtype(array.dtype))
            tensor.set_data_from_numpy(np.ascontiguousarray(array))
            tensors.append(tensor)
        answer = client.infer(
            self._settings.model,
            tensors,
            model_version=str(number),
            outputs=[triton.InferRequestedOutput(OUTPUT)],
            client_timeout=_PATIENCE,
        )
        told = answer.as_numpy(OUTPUT)
        if told is None or not (np.isfinite(told).all() and told.min() >= 0 and told.max() <= 1):
            raise ShippingError(
                f"Triton at {self._settings.url} answers with what is no probability, version {number}"
            )


def _said(error: InferenceServerException | grpc.RpcError) -> str:
    text = error.message() if isinstance(error, InferenceServerException) else str(error)
    return (str(text).strip().splitlines() or [type(error).__name__])[0]
