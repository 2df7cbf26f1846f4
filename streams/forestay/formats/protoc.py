"""Texts of .proto files to descriptors, by the Protobuf compiler itself, in a process of its own.

It comes as a wheel, in grpcio-tools. A compile takes 50 ms, and there is one a schema.
"""

import base64
import json
import subprocess
import sys
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, Final

import grpc_tools  # noqa: F401 - it runs in a process of its own; that it is missing is to be known here
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import DecodeError

from forestay.core.errors import ConfigurationError
from forestay.formats.schema import Reference, Schema, UnusableSchemaError

#: The name the schema's own text is compiled under; a schema may import under any other.
_ROOT: Final = "forestay-value.proto"
_SECONDS: Final = 30.0
_MAX_REASON: Final = 300


def compiled(schema: Schema) -> list[Any]:
    """Returns the FileDescriptorProtos of a schema: what it imports first, its own last.

    What Protobuf itself brings (google/protobuf/*.proto) can be imported without a reference. Confluent's Python
    serializer registers no text but the descriptor, in base64; a registry may hand it out so.

    Raises:
        UnusableSchemaError: the text does not compile.
        ConfigurationError: the compiler did not run, or did not end in 30 s.
    """
    root = _descriptor(_ROOT, schema.text)
    if root is None:
        return _compiled(schema.text, schema.references)
    found = [(reference, _descriptor(*reference)) for reference in schema.references]
    ready = [*(file for _, file in found if file is not None), root]
    # All else comes from the compiler, which is asked for it by a file that only imports.
    wanted = {name for file in ready for name in file.dependency} - {file.name for file in ready}
    imports = "".join(f"import {json.dumps(name)};" for name in sorted(wanted))
    texts = tuple(reference for reference, file in found if file is None)
    return _compiled(f'syntax = "proto3"; {imports}', texts)[:-1] + ready


def _descriptor(name: str, text: str) -> Any:
    """Returns the descriptor in a text that is one, in base64; None for a .proto file, which never is base64."""
    try:
        file = FileDescriptorProto.FromString(base64.b64decode(text, validate=True))
    except (ValueError, DecodeError):
        return None
    file.name = name
    return file


def _compiled(text: str, references: tuple[Reference, ...]) -> list[Any]:
    with TemporaryDirectory(prefix="forestay-protoc-") as name:
        folder = Path(name)
        for reference in references:
            _write(folder, reference.name, reference.text)
        _write(folder, _ROOT, text)
        return _run(folder)


def _write(folder: Path, name: str, text: str) -> None:
    """Writes an import where protoc looks for it, and never outside the folder: names come from the registry."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name or "\\" in name:
        raise UnusableSchemaError(f"it refers to {name!r}, which is no path of an import")
    try:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode())
    except (OSError, UnicodeEncodeError) as error:
        raise UnusableSchemaError(f"it refers to {name[:_MAX_REASON]!r}, which cannot be a file") from error


def _run(folder: Path) -> list[Any]:
    out = folder / "forestay-descriptors"
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{folder}", "--include_imports", f"-o{out}", _ROOT]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=_SECONDS, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(f"the Protobuf compiler (grpcio-tools) failed: {error}") from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").replace(str(folder), "").splitlines()
        # Beside the errors, "file:line:column: what", it logs warnings of its own.
        errors = " ".join(line for line in said if ".proto:" in line and "parser.cc" not in line)
        raise UnusableSchemaError(f"it does not compile: {errors[:_MAX_REASON]}")
    return list(FileDescriptorSet.FromString(out.read_bytes()).file)
