"""`forestay model report`: what a worker's web port says of the versions, in words and as JSON."""

import asyncio
import json
import threading
from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from forestay.cli.main import app
from forestay.embedded.ports import free_ports
from forestay.settings import WebSettings
from forestay.shell.scoring.report import ScoringReport
from forestay.shell.web import Answer, WebPort

RUNNER = CliRunner()
TOKEN = "t0ken of the tests"  # noqa: S105


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The web port of a worker that has seen a shadow; asks for a token."""
    monkeypatch.setenv("COLUMNS", "160")
    report = ScoringReport()
    report.answered.update({"m1": 1_234})
    report.shadow_dropped = 7
    report.compare("m1", "m2").add([0.25, 0.5], [0.75, 0.5])
    settings = WebSettings(port=0, token=SecretStr(TOKEN))
    port = WebPort(settings, {"/model": lambda: Answer(yes=True, content={"model": "m"} | report.told())})
    up, loop = threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with port:
            up.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    up.wait()
    yield f"http://127.0.0.1:{port.port}"
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()


def test_people_read_counts_and_differences(worker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORESTAY_WEB__TOKEN", TOKEN)
    done = RUNNER.invoke(app, ["model", "report", "--worker", worker])
    assert done.exit_code == 0, done.output
    assert "m1 1,234; shadow was not asked about 7" in done.stdout
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("m2")]
    assert line.split() == ["m2", "m1", "2", "+0.2500", "0.2500", "0.001", "0.500", "0.500", "0.5000", "50.00%"]


def test_machines_read_json(worker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORESTAY_WEB__TOKEN", TOKEN)
    done = RUNNER.invoke(app, ["model", "report", "--set", f"web.port={worker.rpartition(':')[2]}", "--json"])
    assert json.loads(done.stdout)["workers"][worker]["differences"][0]["users"] == 2


def test_who_does_not_answer_is_named(worker: str) -> None:
    nowhere = f"http://127.0.0.1:{free_ports(1)[0]}"
    for args, words in (
        (["--worker", worker], "asks for its token"),
        (["--worker", nowhere], "no worker tells of its model"),
        ([], "--worker http://HOST:PORT"),
    ):
        done = RUNNER.invoke(app, ["model", "report", *args])
        assert done.exit_code == 1
        assert words in done.stderr
