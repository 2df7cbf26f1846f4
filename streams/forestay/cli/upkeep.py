"""Keeps broker, Triton and worker up, and says how to use them."""

import asyncio
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from forestay.cli.console import console
from forestay.cli.interruptible import Stopped, run_interruptible
from forestay.core.errors import ForestayError
from forestay.demo.stack import Plan, Stack, merged, running
from forestay.embedded.errors import EmbeddedError
from forestay.embedded.ports import require_free
from forestay.settings import Settings, load_settings

_GUIDE: Final = """
Forestay is up, on this machine only. What the broker holds is in memory and ends with this command: Ctrl-C.

  Kafka    {kafka}
  Triton   {triton} (gRPC)   http://{http} (HTTP)   {metrics}
  logs     {logs}

In another terminal, let the commands find it, then send a first event and see what is done about it:

  export FORESTAY_CONFIG={config}
  echo '{{"event_id": "e1", "user_id": "anna", "event": "purchase", "ts": "'$(date -u +%FT%TZ)'", "price": 250}}' \\
    | {forestay} send -
  {forestay} tail decisions --from-start --limit 1
  {forestay} tail actions --from-start --no-follow

  {forestay} doctor            whether all is well
  {forestay} tail actions      actions as they come
"""


def keep_up(out: Path, model_repository: Path, port: int, overrides: Mapping[str, Any]) -> int:
    """Runs everything until it is told to stop; returns the exit code.

    Raises:
        ForestayError: a part could not start, or ended by itself; the others are stopped.
    """
    speaker = console()

    def settings(local: Mapping[str, Any]) -> Settings:
        return load_settings(**merged(overrides, local))

    async def up() -> None:
        async with running(Plan(out, model_repository, settings, port), lambda text: _say(speaker, text)) as stack:
            speaker.print(_guide(stack, out), soft_wrap=True)
            try:
                await stack.guard(asyncio.Event().wait())
            finally:
                _say(speaker, "stopping the worker, then Triton and the broker")

    try:
        require_free(port)
    except EmbeddedError as error:
        raise ForestayError(f"{error} --port names it; is another `forestay up` still running?") from error
    try:
        run_interruptible(up())
    except Stopped:
        # To be stopped is how this command ends.
        _say(speaker, "stopped; nothing is left running")
    return 0


def _say(speaker: Console, text: str) -> None:
    speaker.print(text, soft_wrap=True)


def _guide(stack: Stack, out: Path) -> str:
    return _GUIDE.format(
        kafka=stack.broker.bootstrap_servers,
        triton=stack.triton.grpc_address,
        http=stack.triton.http_address,
        metrics=stack.triton.metrics_url,
        logs=out,
        config=stack.config.resolve(),
        forestay=invocation(),
    )


def invocation() -> str:
    """Returns what a person types to run this command again: its name where PATH leads to it, else its path."""
    program = Path(sys.executable).with_name("forestay")
    found = shutil.which("forestay")
    return "forestay" if found is not None and Path(found).resolve() == program.resolve() else str(program)
