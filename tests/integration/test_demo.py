"""The main job and its parts as a person runs them: by command, with real processes, and Ctrl-C."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.churn_model import lay_churn_model

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
FORESTAY = [sys.executable, "-m", "forestay"]
#: Seconds for a step of a command: minutes, since the first run installs Triton.
_STEP = 300.0


class Command:
    """A running `forestay`, and every process it has been seen to start."""

    def __init__(self, folder: Path, *args: str) -> None:
        self.output = folder / "output.txt"
        self._errors = folder / "errors.txt"
        with self.output.open("w") as out, self._errors.open("w") as errors:
            self.process = subprocess.Popen([*FORESTAY, *args], cwd=folder, stdout=out, stderr=errors)
        self._started: set[psutil.Process] = set()

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    def look(self) -> list[psutil.Process]:
        """Returns what it runs now, and remembers it."""
        try:
            running: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        self._started.update(running)
        return running

    def wait_for(self, text: str) -> None:
        """Returns when it has said `text`."""
        deadline = time.monotonic() + _STEP
        while text not in self.output.read_text():
            self.look()
            assert self.process.poll() is None, self.output.read_text() + self.errors
            assert time.monotonic() < deadline, self.output.read_text()
            time.sleep(0.05)

    def wait(self) -> int:
        """Returns the exit code."""
        deadline = time.monotonic() + _STEP
        while self.process.poll() is None:
            self.look()
            assert time.monotonic() < deadline, self.output.read_text()
            time.sleep(0.05)
        return self.process.returncode

    def left(self) -> list[psutil.Process]:
        """Returns the processes it started that still run."""
        assert len(self._started) > 3
        return [process for process in self._started if process.is_running()]

    def child(self, program: str) -> psutil.Process:
        """Returns the running process whose command line holds `program`, not its keeper."""
        (found,) = (
            process
            for process in self.look()
            if program in (line := " ".join(process.cmdline())) and "keeper.py" not in line
        )
        return found


@contextmanager
def running(folder: Path, *args: str) -> Iterator[Command]:
    command = Command(folder, *args)
    try:
        yield command
    finally:
        if command.process.poll() is None:
            command.process.kill()
            command.process.wait()


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A model repository with a tiny model, which loads in no time."""
    lay_churn_model(tmp_path / "models")
    return tmp_path / "models"


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


# -- demo --------------------------------------------------------------------------------------------


def test_the_demo_balances_and_leaves_nothing(tmp_path: Path) -> None:
    """With the model and the recording as they are shipped; a setting of the person's plays no part."""
    (tmp_path / "forestay.yaml").write_text("kafka: {bootstrap_servers: '127.0.0.1:1'}\n")
    with running(tmp_path, "demo", "--events", "16000", "--rate", "1500", "--json") as demo:
        assert demo.wait() == 0, demo.errors
        assert demo.left() == []
    summary = json.loads(demo.output.read_text())
    assert summary["balanced"]
    assert all(line["balanced"] for line in summary["books"])
    assert summary["recording"]["events"] == 16_000
    assert summary["dead_letters"] == {"contract": 1}
    assert summary["scores_by_rung"]["model"] > 1_000
    assert summary["scores_by_trigger"]["silence"] > 100
    assert summary["actions"] > 100
    assert summary["training"]["seen"] + summary["training"]["unseen"] == 16_000
    assert summary["decision_latency"]["to_record"]["count"] > 50
    assert summary["samples"][0]["reasons"][0]["text"]
    out = tmp_path / ".forestay" / "demo"
    assert json.loads((out / "summary.json").read_bytes()) == summary
    assert {path.name for path in tmp_path.iterdir()} == {".forestay", "forestay.yaml", "output.txt", "errors.txt"}
    assert "✓ The books balance" in (out / "report.html").read_text()
    assert re.search(r"\d+ events? done|[\d,]+ of 16,000 events done", demo.errors)


def test_ctrl_c_half_way_stops_everything_and_says_how_far_it_was(tmp_path: Path, models: Path) -> None:
    args = ("demo", "--events", "5000", "--rate", "50", "--model-repository", str(models))
    with running(tmp_path, *args) as demo:
        demo.wait_for("replaying the last")
        demo.process.send_signal(signal.SIGINT)
        # A second one, from an impatient person, disturbs nothing.
        demo.process.send_signal(signal.SIGINT)
        assert demo.wait() == 130, demo.errors
        assert demo.left() == []
    said = re.search(r"stopped half-way: ([\d,]+) events sent, ([\d,]+) of them done", demo.output.read_text())
    assert said is not None, demo.output.read_text()
    sent, done = (int(number.replace(",", "")) for number in said.groups())
    assert 4_000 <= done <= sent < 5_000
    assert "Traceback" not in demo.errors


def test_the_demo_ends_when_its_worker_dies(tmp_path: Path, models: Path) -> None:
    args = ("demo", "--events", "5000", "--rate", "50", "--model-repository", str(models))
    with running(tmp_path, *args) as demo:
        demo.wait_for("replaying the last")
        demo.child("forestay worker").kill()
        assert demo.wait() == 1
        assert demo.left() == []
    assert "forestay: the worker ended with status 137 (SIGKILL)" in demo.errors
    assert "Traceback" not in demo.errors


# -- up ----------------------------------------------------------------------------------------------


class Shell:
    """What a person types in another terminal while `forestay up` runs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._config = str(folder / ".forestay" / "up" / "forestay.yaml")

    def run(self, *args: str, stdin: str = "", code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*FORESTAY, *args, "--config", self._config],
            cwd=self._folder,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=_STEP,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def json(self, *args: str, stdin: str = "", code: int = 0) -> Any:
        lines = self.run(*args, "--json", stdin=stdin, code=code).stdout.splitlines()
        return [json.loads(line) for line in lines] if args[0] == "tail" else json.loads(lines[0])


def first_event() -> str:
    """The event the guide of `forestay up` tells a person to send."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return json.dumps({"event_id": "e1", "user_id": "anna", "event": "purchase", "ts": now, "price": 250}) + "\n"


def test_a_first_event_leads_to_an_action(tmp_path: Path, models: Path, port: int) -> None:
    with running(tmp_path, "up", "--port", str(port), "--model-repository", str(models)) as up:
        up.wait_for("Forestay is up")
        assert f"127.0.0.1:{port}" in up.output.read_text()
        shell = Shell(tmp_path)
        assert shell.json("doctor")["ok"]
        _a_head_of_another_model(shell, tmp_path)
        assert shell.json("send", "-", stdin=first_event())["sent"] == 1
        (decision,) = shell.json("tail", "decisions", "--from-start", "--limit", "1")
        assert (decision["user_id"], decision["churn"]["rung"]) == ("anna", "model"), decision
        assert decision["action_id"] is not None, decision
        (action,) = shell.json("tail", "actions", "--from-start", "--limit", "1")
        assert decision["action_id"] == action["action_id"]
        assert "anna" in shell.run("tail", "actions", "--from-start", "--no-follow").stdout
        _dead_letters(shell)
        _topics(shell)
        up.look()
        up.process.send_signal(signal.SIGTERM)
        assert up.wait() == 0, up.errors
        assert up.left() == []


def _a_head_of_another_model(shell: Shell, folder: Path) -> None:
    """While its head is of a model that is not served, the list next is filled by popularity: the doctor says so."""
    projection = {"version": "old", "centre": [0.0], "axes": [[1.0]]}
    head = {"projection": projection, "weights": {"tea": [0.0, 1.0]}, "together": 1.0}
    (folder / "items.json").write_text(json.dumps({"orders": 1, "popular": ["tea"], "next_item": head}))
    offer = {"id": "a", "kind": "recommendation", "channel": "email", "effect": 0.1, "payload": {"list": "next"}}
    (folder / "next.yaml").write_text(json.dumps({"name": "next", "items": "items.json", "offers": [offer]}))
    checks = shell.json("doctor", "--set", f"catalogue={folder / 'next.yaml'}", code=1)["checks"]
    (found,) = [check for check in checks if check["status"] == "failed"]
    assert (found["name"], "list next was fitted to version old" in found["detail"]) == ("embedding", True)
    assert found["advice"] == "fit again: `forestay items fit --next`"


def _dead_letters(shell: Shell) -> None:
    broken = '{"event_id": "e2", "user_id": "anna", "event": "dance", "ts": 1}\n\n' + first_event()
    left = shell.json("send", "-", stdin=broken, code=1)
    assert (left["sent"], [line["number"] for line in left["left_out"]]) == (1, [1])
    assert "event" in left["left_out"][0]["reason"]
    assert "line 1 sent as it is: event" in shell.run("send", "-", "--as-is", stdin=broken).stderr
    (letter,) = shell.json("tail", "dead-letters", "--from-start", "--limit", "1")
    assert (letter["error"], letter["key"], json.loads(letter["value"])["event"]) == ("contract", "anna", "dance")


def _topics(shell: Shell) -> None:
    assert shell.json("topics", "declare")["created"] == []
    topics = {topic["role"]: topic for topic in shell.json("topics", "describe")["topics"]}
    assert topics["clickstream"]["records"] == 4
    assert topics["dead_letters"]["records"] == 1
    recording = str(ROOT / "recordings" / "online-retail-ii.parquet")
    assert shell.json("replay", recording, "--limit", "50", "--rate", "1000")["sent"] == 50


def test_up_ends_when_one_part_dies_and_says_which(tmp_path: Path, models: Path, port: int) -> None:
    with running(tmp_path, "up", "--port", str(port), "--model-repository", str(models)) as up:
        up.wait_for("Forestay is up")
        up.child("tritonserver").kill()
        assert up.wait() == 1
        assert up.left() == []
    assert "forestay: the embedded Triton ended with status 137 (SIGKILL)" in up.errors
    assert "Traceback" not in up.errors


def test_up_refuses_a_port_that_is_taken(tmp_path: Path, models: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with running(tmp_path, "up", "--port", str(port), "--model-repository", str(models)) as up:
            assert up.wait() == 1
    assert f"Port {port} cannot be used" in up.errors


# -- doctor ------------------------------------------------------------------------------------------


def test_the_doctor_says_what_is_missing(tmp_path: Path) -> None:
    nowhere = ["--bootstrap-servers", "127.0.0.1:1", "--triton-url", "127.0.0.1:1"]
    done = subprocess.run(
        [*FORESTAY, "doctor", "--json", *nowhere, "--set", "kafka.request_timeout_seconds=1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=_STEP,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert {name: check["status"] for name, check in checks.items()} == {
        "settings": "ok",
        "core": "ok",
        "triggers": "ok",
        "values": "ok",
        "catalogue": "ok",
        "kafka": "failed",
        "permissions": "skipped",
        "topics": "skipped",
        "compaction": "skipped",
        "triton": "failed",
        "model": "skipped",
        "model input": "skipped",
        "embedding": "skipped",
    }
    assert "forestay up" in checks["kafka"]["advice"]
    assert "forestay up" in checks["triton"]["advice"]
