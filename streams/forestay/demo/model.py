"""What the served model says of itself."""

import grpc
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from forestay.core.errors import ForestayError
from forestay.demo.shop import model_facts
from forestay.demo.summary import ModelFacts
from forestay.settings import TritonSettings
from forestay.shell.triton_clients import client_options, declared_parameters


def served_model(settings: TritonSettings) -> ModelFacts | None:
    """Returns the facts in the parameters of the model's configuration, None if Triton serves no such model.

    Raises:
        ForestayError: a parameter is not of its form.
    """
    client = triton.InferenceServerClient(**client_options(settings))
    try:
        config = client.get_model_config(settings.model, as_json=True)["config"]
    except (InferenceServerException, grpc.RpcError):
        return None
    finally:
        client.close()
    try:
        return model_facts(settings.model, declared_parameters(config))
    except ValueError as error:
        raise ForestayError(f"the parameters in {settings.model}/config.pbtxt cannot be read: {error}") from error
