"""A model as it lies in a repository, and a repository of one version of it alone, to be measured."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from forestay_bench.errors import BenchError

#: What a worker asks for, as far as the model has it.
WANTED: Final = ("churn_probability", "contributions", "survival")


@dataclass(frozen=True)
class Model:
    """A model file, and the configuration it is served with."""

    file: Path
    config: Any

    @classmethod
    def of(cls, folder: Path, version: int | None) -> "Model":
        """Reads a version of the model that lies in `folder` (None: the newest), or the candidate that `folder` is.

        Raises:
            BenchError: it holds no such model.
        """
        if (folder / "model.onnx").is_file():
            places = [folder]
        else:
            newest = sorted((int(path.parent.name) for path in folder.glob("[0-9]*/model.onnx")), reverse=True)
            places = [folder / str(number) for number in newest if version in (None, number)]
        # A version among others has its configuration beside it; that of the folder is made of all that are served.
        configs = [place / "config.pbtxt" for place in places[:1]] + [folder / "config.pbtxt"]
        config = next((file for file in configs if file.is_file()), None)
        if not places or config is None:
            raise BenchError(
                f"{folder} holds no {'model' if version is None else f'version {version}'} with config.pbtxt"
            )
        return cls(places[0] / "model.onnx", text_format.Parse(config.read_text(), model_config_pb2.ModelConfig()))

    @property
    def outputs(self) -> list[str]:
        """Returns what is asked for."""
        return [name for name in WANTED if name in {output.name for output in self.config.output}]

    @property
    def any_length(self) -> bool:
        """Says whether it takes fewer than 64 steps."""
        return bool(self.config.input[0].dims[0] == -1)

    def alone(self, into: Path, instances: int) -> None:
        """Lays a repository of this version alone, with so many instances of one thread, into a folder."""
        config = model_config_pb2.ModelConfig()
        config.CopyFrom(self.config)
        config.ClearField("version_policy")
        del config.instance_group[:]
        config.instance_group.add(count=instances)
        config.parameters["intra_op_thread_count"].string_value = "1"
        (into / config.name / "1").mkdir(parents=True)
        shutil.copyfile(self.file, into / config.name / "1" / "model.onnx")
        (into / config.name / "config.pbtxt").write_text(text_format.MessageToString(config))
