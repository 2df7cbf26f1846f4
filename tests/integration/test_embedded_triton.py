"""The embedded Triton installs itself once, serves a repository as it is, and goes away with all it started."""

import asyncio
import contextlib
import hashlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import tritonclient.grpc.aio
from support import toy_model

from forestay.embedded import triton_environment, triton_python
from forestay.embedded.errors import EmbeddedError, ProcessFailedError, TritonEnvironmentError
from forestay.embedded.ports import LOOPBACK, free_ports
from forestay.embedded.triton import EmbeddedTriton

pytestmark = pytest.mark.embedded

GONE_WITHIN = 30.0  # seconds; it takes 2 to 4
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108
# Starts a server, tells its process id, and waits for Ctrl-C or worse.
SERVE = """
import asyncio, sys
from pathlib import Path
from forestay.embedded.triton import EmbeddedTriton

async def main():
    server = EmbeddedTriton(model_repository=Path(sys.argv[1]), log=Path(sys.argv[2]))
    async with server:
        print(server.process.pid, flush=True)
        await asyncio.Event().wait()

try:
    asyncio.run(main())
except KeyboardInterrupt:
    sys.exit(130)
"""
# Installs into the folder it is given, telling what it is told.
INSTALL = """
import asyncio, sys
from pathlib import Path
from forestay.embedded.triton_environment import prepare

def tell(text):
    print(text, flush=True)

log, cache = map(Path, sys.argv[1:])
tell(asyncio.run(prepare(tell, log=log, cache=cache)).root)
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    toy_model.lay_toy_model(folder)
    return folder


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def family(pid: int) -> dict[int, list[str]]:
    """Return a process and all its offspring: id and command line."""
    top = psutil.Process(pid)
    return {process.pid: process.cmdline() for process in (top, *top.children(recursive=True))}


def regions(processes: dict[int, list[str]]) -> list[Path]:
    """Return the shared memory that the stubs among these processes were given."""
    names = {word for words in processes.values() for word in words if word.startswith("forestay-")}
    return [SHARED_MEMORY / name for name in names]


def wait_gone(files: dict[int, int]) -> None:
    """Wait until the processes behind these pidfds are gone, and close the files."""
    left, deadline = dict(files), time.monotonic() + GONE_WITHIN
    while left:
        ended, _, _ = select.select(left.values(), [], [], max(0.0, deadline - time.monotonic()))
        assert ended, f"still alive: {sorted(left)}"
        left = {pid: file for pid, file in left.items() if file not in ended}
    for file in files.values():
        os.close(file)


async def test_serves_the_repository_unchanged_and_leaves_nothing(repository: Path, tmp_path: Path) -> None:
    before = contents(repository)
    async with EmbeddedTriton(model_repository=repository, log=tmp_path / "triton.log") as server:
        async with tritonclient.grpc.aio.InferenceServerClient(server.grpc_address) as client:
            assert await client.is_model_ready(toy_model.NAME)
        _, metrics = await asyncio.gather(_get(server.http_address, "/v2/health/ready"), _get_metrics(server))
        assert f'nv_inference_request_success{{model="{toy_model.NAME}"' in metrics
        connections = psutil.Process(server.process.pid).net_connections()
        listening = {connection.laddr.ip for connection in connections if connection.status == psutil.CONN_LISTEN}
        assert listening <= {LOOPBACK, f"::ffff:{LOOPBACK}"}
        processes = family(server.process.pid)
        memory = regions(processes)
        assert len(memory) == 2, "Triton's default for a model on CPU is two instances"
        assert all(region.exists() for region in memory)
    assert not any(psutil.pid_exists(pid) for pid in processes)
    assert not any(region.exists() for region in memory)
    assert contents(repository) == before


async def _get(address: str, path: str) -> str:
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    assert answer.startswith("HTTP/1.1 200"), answer
    return answer


async def _get_metrics(server: EmbeddedTriton) -> str:
    address, _, path = server.metrics_url.removeprefix("http://").partition("/")
    return await _get(address, f"/{path}")


async def test_two_at_once_are_two_servers(repository: Path, tmp_path: Path) -> None:
    one = EmbeddedTriton(model_repository=repository, log=tmp_path / "1.log")
    two = EmbeddedTriton(model_repository=repository, log=tmp_path / "2.log", grpc_port=free_ports(1)[0])
    try:
        await asyncio.gather(one.start(), two.start())
        assert one.grpc_address != two.grpc_address
        third = EmbeddedTriton(
            model_repository=repository, log=tmp_path / "3.log", grpc_port=int(two.grpc_address.split(":")[1])
        )
        with pytest.raises(EmbeddedError, match="cannot be used"):
            await third.start()
    finally:
        await asyncio.gather(one.stop(), two.stop())


async def test_a_model_that_cannot_be_read_is_named(repository: Path, tmp_path: Path) -> None:
    (repository / toy_model.NAME / "1" / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(ProcessFailedError, match=r"failed to load|load failed for model 'toy'"):
        await EmbeddedTriton(model_repository=repository, log=tmp_path / "triton.log").start()


async def test_a_folder_without_models_is_told(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match=r"has no folder with a config.pbtxt"):
        await EmbeddedTriton(model_repository=tmp_path, log=tmp_path / "triton.log").start()


@pytest.fixture
def parent(repository: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process of its own group that runs a server."""
    command = [sys.executable, "-c", SERVE, str(repository), str(tmp_path / "triton.log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_server_and_stub_go_with_their_parent(parent: subprocess.Popen[str], how: signal.Signals) -> None:
    assert parent.stdout is not None
    processes = family(int(parent.stdout.readline()))
    files = {pid: os.pidfd_open(pid) for pid in processes}
    memory = regions(processes)
    assert all(region.exists() for region in memory)
    os.killpg(parent.pid, how)
    assert parent.wait(GONE_WITHIN) == (130 if how == signal.SIGINT else -signal.SIGKILL)
    wait_gone(files)
    assert not any(region.exists() for region in memory)


async def test_what_a_killed_server_leaves_in_memory_is_removed(repository: Path, tmp_path: Path) -> None:
    async with EmbeddedTriton(model_repository=repository, log=tmp_path / "triton.log") as server:
        processes = family(server.process.pid)
        memory = regions(processes)
        for pid in processes:
            # The first to die may take others with it.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert await server.process.wait() == 128 + signal.SIGKILL
        assert all(region.exists() for region in memory)
    assert not any(region.exists() for region in memory)


def install(log: Path, cache: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", INSTALL, str(log), str(cache)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_an_interrupted_installation_is_made_good_and_two_at_once_make_one(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with install(tmp_path / "0.log", cache) as interrupted:
        assert interrupted.stdout is not None
        assert interrupted.stdout.readline().startswith("Installing")
        interrupted.kill()
    with install(tmp_path / "1.log", cache) as one, install(tmp_path / "2.log", cache) as two:
        told = [process.communicate()[0].splitlines() for process in (one, two)]
        assert one.returncode == two.returncode == 0
    roots = {lines[-1] for lines in told}
    assert len(roots) == 1
    assert sorted(lines[0].split()[0] for lines in told) == ["Installing", "Waiting"]
    root = Path(roots.pop())
    assert {path.name for path in cache.iterdir()} == {root.name, f"{root.name}.lock"}


async def test_an_installer_that_fails_leaves_nothing_to_be_taken_for_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = f"http://{LOOPBACK}:{free_ports(1)[0]}/simple"
    for name, value in {"UV_INDEX_URL": nowhere, "UV_NO_CACHE": "1", "UV_HTTP_RETRIES": "0"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TritonEnvironmentError, match=r"could not be installed: uv pip"):
        await triton_environment.prepare(lambda _text: None, log=tmp_path / "uv.log", cache=tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").iterdir() if path.suffix not in {".part", ".lock"}]


def test_a_machine_without_a_fitting_python_is_told_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    static = tmp_path / "python3.11"
    answer = (
        '{"executable": "x", "version": "3.11", "full": "3.11", "library": "libpython3.11.so.1.0", "found": false}'
    )
    static.write_text(f"#!/bin/sh\necho '{answer}'\n")
    newer = tmp_path / "python3"
    newer.write_text(f"#!/bin/sh\necho '{answer.replace('3.11', '3.13')}'\n")
    broken = tmp_path / "python3.12"
    broken.write_text("#!/bin/sh\nexit 127\n")
    for program in (static, newer, broken):
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path / "nowhere"))
    with pytest.raises(TritonEnvironmentError) as failure:
        triton_python.find_python()
    text = str(failure.value)
    assert f"{static}: its shared library libpython3.11.so.1.0 is missing" in text
    assert f"{newer}: it is 3.13" in text
    assert f"{broken}: it does not run" in text
    assert "apt-get install libpython3.11" in text


async def test_another_machine_is_told_to_use_a_triton_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(TritonEnvironmentError, match=r"not on linux riscv64. Use a Triton of your own"):
        await triton_environment.prepare(lambda _text: None, log=tmp_path / "uv.log")
