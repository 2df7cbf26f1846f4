"""Broker, Triton and worker on this machine, for as long as they are needed; stopped in the opposite order."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import yaml

from forestay import compiled
from forestay.core.errors import ForestayError
from forestay.demo.folder import held
from forestay.embedded.broker import EmbeddedBroker
from forestay.embedded.errors import ProcessFailedError
from forestay.embedded.process import ChildProcess, Command, describe_status
from forestay.embedded.triton import EmbeddedTriton
from forestay.settings import CONFIG_VARIABLE, Settings
from forestay.shell.topics import declare

#: Short timeouts for Tansu (seconds): it answers a join after half the session timeout, and a fetch that finds
#: nothing only when its wait is over, whatever arrives meanwhile.
_SESSION: Final = 2
_FETCH_WAIT: Final = 0.02
_REBALANCE: Final = 20
#: What the worker says once it has its partitions and their state, and how long that may take (seconds).
_READY: Final = b"worker ready"
_READY_WITHIN: Final = 60.0
#: How long work that failed waits for news of a process's death (seconds).
_DEATH_NOTICE: Final = 0.5
#: Past its own deadline, what a worker may take to be gone (seconds).
_STOP_MARGIN: Final = 5.0

#: What another Kafka may ask for and the embedded one does not.
_NO_LOGIN: Final = (
    *(f"sasl_{name}" for name in ("username", "password", "password_file", "token_file", "token_url")),
    *(f"ssl_{name}" for name in ("cafile", "certfile", "keyfile", "key_password", "key_password_file")),
)

Tell = Callable[[str], None]
MakeSettings = Callable[[Mapping[str, Any]], Settings]
_T = TypeVar("_T")


class Plan(NamedTuple):
    """What to start: logs and the settings file go to `folder`.

    `make_settings` is given the settings that only this machine's broker and Triton can know, nested.
    """

    folder: Path
    model_repository: Path
    make_settings: MakeSettings
    port: int | None = None


class Stack(NamedTuple):
    """What runs, and the settings that reach it, which also stand in `config`."""

    settings: Settings
    config: Path
    broker: EmbeddedBroker
    triton: EmbeddedTriton
    worker: ChildProcess

    async def guard(self, work: Awaitable[_T]) -> _T:
        """Awaits `work` while all three processes run.

        Raises:
            ProcessFailedError: one of them ended by itself; the message holds the end of its log.
        """
        doing = asyncio.ensure_future(work)
        ends = {asyncio.ensure_future(child.wait()): child for child in self._children()}
        try:
            await asyncio.wait({doing, *ends}, return_when=asyncio.FIRST_COMPLETED)
            if doing.done() and doing.exception() is not None:
                # Work fails when a process it needs has died, and may notice it first: the death is the reason.
                await asyncio.wait(ends, timeout=_DEATH_NOTICE, return_when=asyncio.FIRST_COMPLETED)
            dead = next((child for task, child in ends.items() if task.done()), None)
            if dead is not None and not (doing.done() and doing.exception() is None):
                raise _ended(dead)
            return doing.result()
        finally:
            for task in (doing, *ends):
                task.cancel()
            await asyncio.gather(doing, *ends, return_exceptions=True)

    def _children(self) -> Sequence[ChildProcess]:
        return (self.worker, self.triton.process, self.broker.process)


def _ended(child: ChildProcess) -> ProcessFailedError:
    name, log = child.command.name, child.command.log
    status = describe_status(child.returncode or 0)
    return ProcessFailedError(f"{name} ended with status {status}. The end of its log, {log}:\n{child.log_tail()}")


@asynccontextmanager
async def running(plan: Plan, tell: Tell) -> AsyncIterator[Stack]:
    """Starts everything and waits until the worker is ready; stops everything at the end, the worker first.

    Raises:
        ForestayError: a part cannot be started, or the settings cannot work.
    """
    with held(plan.folder):
        tell("starting the broker")
        async with EmbeddedBroker(log=plan.folder / "broker.log", port=plan.port) as broker:
            tell("starting Triton")
            triton = EmbeddedTriton(
                model_repository=plan.model_repository, log=plan.folder / "triton.log", progress=tell
            )
            async with triton:
                settings = plan.make_settings(_local(broker.bootstrap_servers, triton.grpc_address))
                config = plan.folder / "forestay.yaml"
                config.write_text(as_yaml(settings))
                await asyncio.to_thread(declare, settings.kafka, settings.topics)
                tell("starting the worker")
                async with ChildProcess(_worker(settings, config, plan.folder / "worker.log")) as worker:
                    await worker.ready(_said(worker.command.log, _READY), within=_READY_WITHIN)
                    yield Stack(settings, config, broker, triton, worker)


def _local(bootstrap_servers: str, triton_url: str) -> dict[str, Any]:
    return {
        "kafka": {
            "bootstrap_servers": bootstrap_servers,
            "security_protocol": "PLAINTEXT",
            **dict.fromkeys(_NO_LOGIN),
            "session_timeout_seconds": _SESSION,
            "rebalance_timeout_seconds": _REBALANCE,
            "fetch_wait_seconds": _FETCH_WAIT,
            "idempotent_producer": False,
        },
        "topics": {"replication_factor": 1},
        "triton": {"url": triton_url, "tls": False}
        | dict.fromkeys(("ca_file", "cert_file", "key_file", "server_name")),
        # A secret cannot be handed on: the settings file that is written shows stars.
        "web": dict.fromkeys(("port", "token", "token_file")),
    }


def as_yaml(settings: Settings) -> str:
    """Returns `settings` as a settings file; the same settings give the same text."""
    content = settings.model_dump(mode="json", exclude_none=True)
    content["engine"]["score_on"].sort()
    content["catalogue"] = str(settings.catalogue.resolve())
    return yaml.safe_dump(content, sort_keys=True)


def _worker(settings: Settings, config: Path, log: Path) -> Command:
    # All that is set stands in the file: a variable meant for another worker must not change this one. The core's
    # form is no setting, and the one told of this process has to be the worker's.
    kept = {name: value for name, value in os.environ.items() if name == compiled.VARIABLE}
    env = {name: value for name, value in os.environ.items() if not name.startswith("FORESTAY_")} | kept
    env[CONFIG_VARIABLE] = str(config.resolve())
    return Command(
        "the worker",
        [sys.executable, "-m", "forestay", "worker"],
        log,
        env,
        cwd=log.parent,
        stop_within=settings.worker.shutdown_deadline_seconds + _STOP_MARGIN,
    )


def _said(log: Path, text: bytes) -> Callable[[], Awaitable[bool]]:
    async def probe() -> bool:
        return text in await asyncio.to_thread(log.read_bytes)

    return probe


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Returns nested settings with those in `over` on top of those in `base`."""
    result = dict(base)
    for name, value in over.items():
        below = result.get(name)
        result[name] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result


def find(what: str, named: Path | None) -> Path:
    """Returns the file or folder `named`, or `what` in the current folder or in the checkout this runs from.

    Raises:
        ForestayError: it is not there.
    """
    checkout = Path(__file__).parents[3]
    candidates = [named] if named is not None else [Path(what), checkout / what]
    for candidate in candidates:
        if candidate.exists():
            return candidate
    raise ForestayError(
        f"there is no {candidates[0]}: run this in a checkout of Forestay, or name another place with a flag (--help)"
    )
