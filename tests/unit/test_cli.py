"""The command `forestay` without a broker: help, flags, settings, and errors as one line."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import aiokafka.errors
import pytest
from aiokafka.conn import collect_hosts
from hypothesis import given
from hypothesis import strategies as st
from kafka.errors import KafkaTimeoutError, TopicAuthorizationFailedError, UnknownTopicOrPartitionError
from typer.testing import CliRunner, Result

from forestay.cli.errors import explain
from forestay.cli.group import COMMON_FLAGS, hoist
from forestay.cli.main import app
from forestay.core.errors import ConfigurationError
from forestay.shell.topics import TopicDescription

RUNNER = CliRunner()
COMMANDS = [["demo"], ["up"], ["worker"], ["topics", "declare"], ["topics", "describe"], ["send"], ["tail"]]
RECORD_WRONGLY = [["record"], ["record", "f", "--follow", "--until", "now"], ["record", "f", "--on-gap", "guess"]]
COMMANDS += [["record"], ["replay"], ["dataset"], ["doctor"], ["config"]]
COMMANDS += [["model", name] for name in ("list", "check", "promote", "rollback", "shadow", "canary", "report")]


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings but those of the test, and a wide terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    for name in ("FORESTAY_CONFIG", "FORESTAY_KAFKA__BOOTSTRAP_SERVERS"):
        # Set first: what a command sets in its own process is then taken back at the end, too.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def forestay(*args: str, stdin: str | None = None) -> Result:
    return RUNNER.invoke(app, list(args), input=stdin)


# -- help --------------------------------------------------------------------------------------------


def test_help_names_every_command() -> None:
    done = forestay("--help")
    assert done.exit_code == 0
    for name, *_ in COMMANDS:
        assert name in done.stdout


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_help_of_every_command_teaches_by_example(command: list[str]) -> None:
    done = forestay(*command, "--help")
    assert done.exit_code == 0
    assert f"forestay {' '.join(command)}" in done.stdout.partition("Examples")[2]


def test_help_imports_nothing_heavy() -> None:
    """What a command needs is imported when it runs: help comes at once."""
    heavy = ["aiokafka", "faust", "grpc", "kafka", "numpy", "plotly", "pyarrow", "pydantic", "tritonclient"]
    program = (
        "import sys; sys.argv = ['forestay', '--help']; from forestay.cli.main import app\n"
        "try: app()\nexcept SystemExit: pass\n"
        f"print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_version() -> None:
    assert forestay("--version").stdout.startswith("forestay 0.")


def test_the_module_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "forestay", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("forestay ")


# -- common flags ------------------------------------------------------------------------------------

values = st.text("abc=./:", min_size=1).filter(lambda text: not text.startswith("-"))


@given(st.lists(st.tuples(st.sampled_from(COMMON_FLAGS), values)), st.lists(values))
def test_common_flags_may_stand_anywhere(flags: list[tuple[str, str]], rest: list[str]) -> None:
    before = [word for flag in flags for word in flag]
    after = [f"{flag}={value}" for flag, value in flags]
    assert hoist([*rest, *before]) == [*before, *rest]
    assert hoist([*rest, *after]) == [*after, *rest]


def test_what_follows_two_dashes_stays() -> None:
    assert hoist(["send", "--", "--config", "x"]) == ["send", "--", "--config", "x"]
    assert hoist(["send", "--config"]) == ["--config", "send"]


def test_a_replay_without_a_broker_is_a_rerun() -> None:
    asked = ["replay", "yesterday", "--no-broker", "--set", "a=b", "--ledger"]
    assert hoist(asked) == ["--set", "a=b", "rerun", "yesterday", "--ledger"]
    for other in (["replay", "yesterday"], ["replay", "--", "--no-broker"], ["send", "replay", "--no-broker"]):
        assert hoist(other) == other


# -- settings ----------------------------------------------------------------------------------------


def test_config_shows_flag_over_environment_over_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FORESTAY_TOPICS__ACTIONS", "from-environment")
    monkeypatch.setenv("FORESTAY_TOPICS__CLOCK", "from-environment")
    (tmp_path / "forestay.yaml").write_text("topics: {actions: from-file, clock: from-file, decisions: from-file}\n")
    done = forestay("config", "--set", "topics.clock=from-flag", "--bootstrap-servers", "kafka:9")
    assert done.exit_code == 0, done.output
    rows = {words[0]: words[1:3] for line in done.stdout.splitlines() if (words := line.split())}
    assert rows["topics.clock"] == ["from-flag", "flag"]
    assert rows["topics.actions"] == ["from-environment", "environment"]
    assert rows["topics.decisions"] == ["from-file", "file"]
    assert rows["topics.clickstream"] == ["clickstream", "default"]
    assert rows["kafka.bootstrap_servers"] == ["kafka:9", "flag"]


def test_config_hides_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORESTAY_KAFKA__SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("FORESTAY_KAFKA__SASL_USERNAME", "forestay")
    monkeypatch.setenv("FORESTAY_KAFKA__SASL_PASSWORD", "hunter2")
    for done in (forestay("config"), forestay("config", "--json")):
        assert done.exit_code == 0
        assert "**********" in done.stdout
        assert "hunter2" not in done.output


def test_config_as_json_is_the_settings() -> None:
    done = forestay("config", "--json", "--set", 'engine.score_on=["purchase"]', "--triton-url", "triton:1")
    settings = json.loads(done.stdout)
    assert settings["engine"]["score_on"] == ["purchase"]
    assert settings["triton"]["url"] == "triton:1"


def test_a_named_file_is_used(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("kafka: {group_id: other}\n")
    assert json.loads(forestay("config", "--json", "--config", "other.yaml").stdout)["kafka"]["group_id"] == "other"


# -- errors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["config", "--set", "worker.clock=sundial"], "worker.clock"),
        (["config", "--config", "missing.yaml"], "there is no such file"),
        (["send", "missing.jsonl"], "missing.jsonl: No such file"),
        (["replay", "missing.parquet"], "missing.parquet"),
        (["demo", "--recording", "missing.parquet"], "there is no missing.parquet"),
        (["up", "--model-repository", "missing"], "there is no missing"),
    ],
    ids=" ".join,
)
def test_an_expected_error_is_said_without_a_traceback(args: list[str], said: str) -> None:
    done = forestay(*args)
    assert done.exit_code == 1
    assert done.stderr.startswith("forestay: ")
    assert said in done.stderr
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    "args",
    [["nonsense"], ["tail", "nothing"], ["replay", "x", "--rate", "1", "--speed", "1"], ["send"], *RECORD_WRONGLY],
    ids=" ".join,
)
def test_a_wrong_use_exits_with_2(args: list[str]) -> None:
    assert forestay(*args).exit_code == 2


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["config", "--set", "worker"], "NAME=VALUE"),
        (["config", "--set", "engine.score_on=[purchase"], "not JSON"),
        (["config", "--set", "catalogue=x", "--set", "catalogue.name=y"], "not a group"),
        (["replay", "x", "--from", "yesterday"], "--from yesterday: write a row"),
        (["record", "f", "--from", "tomorrow"], "--from tomorrow: write earliest"),
        (["record", "f", "--pattern", "("], "--pattern (: is no regular expression"),
        (["diff", "x", "--change", "triton.model"], "--change triton.model: write it as NAME=VALUE"),
        (["dataset", "x", "--out", "o", "--cutoff", "junk"], "junk is no moment"),
        (["dataset", "x", "--out", "o", "--cutoff", "2026-03-01", "--horizon", "5m"], "--horizon 5m: write a span"),
        (["dataset", "x", "--out", "o", "--cutoff", "2026-03-01", "--partitions", "0"], "--partitions lies between"),
        (["dataset", "x", "--out", "o", "--cutoff", "2026-03-01", "--spend-share", "0.4"], "--label less_spend"),
    ],
    ids=" ".join,
)
def test_what_makes_no_sense_is_wrong_use_and_said_without_a_traceback(args: list[str], said: str) -> None:
    done = forestay(*args)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.output


def test_the_doctor_tells_of_a_missing_settings_file_as_of_any_check() -> None:
    done = forestay("doctor", "--config", "nope.yaml", "--json")
    told = json.loads(done.stdout)
    assert (done.exit_code, told["ok"]) == (1, False)
    assert [(check["name"], check["status"]) for check in told["checks"]] == [("settings", "failed")]
    assert "--config nope.yaml: there is no such file" in told["checks"][0]["detail"]


def test_a_taken_port_of_up_is_told_with_the_flag_and_the_likely_cause() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = str(held.getsockname()[1])
        done = forestay("up", "--port", port, "--model-repository", ".")
    assert done.exit_code == 1
    assert f"Port {port} cannot be used" in done.stderr
    assert "--port names it; is another `forestay up`" in done.stderr


def test_the_help_of_replay_names_the_way_without_a_broker() -> None:
    assert "--no-broker" in forestay("replay", "--help").stdout


@pytest.mark.parametrize(("there", "code"), [([], 1), (["clickstream"], 0)])
def test_describe_fails_where_no_topic_is_there(monkeypatch: pytest.MonkeyPatch, there: list[str], code: int) -> None:
    described = [TopicDescription("clickstream", name, 1, 1, {}, {0: 0}, {0: 0}, None) for name in there]
    monkeypatch.setattr("forestay.shell.topics.describe", lambda *_: described)
    done = forestay("topics", "describe", "--json")
    assert (done.exit_code, "retention-actions" in json.loads(done.stdout)["missing"]) == (code, True)


def test_permissions_say_why_there_are_none_for_transactional_ids() -> None:
    fenced = forestay("topics", "permissions")
    assert "--transactional-id" in fenced.stdout
    assert not fenced.stderr
    unfenced = forestay("topics", "permissions", "--set", "kafka.idempotent_producer=false")
    assert "--transactional-id" not in unfenced.stdout
    assert "kafka.idempotent_producer is off" in unfenced.stderr


@pytest.mark.parametrize(
    "error",
    [
        KafkaTimeoutError("Unable to bootstrap from ['127.0.0.1:5', 'kafka:9092']"),
        aiokafka.errors.KafkaConnectionError(
            f"Unable to bootstrap from {collect_hosts('127.0.0.1:5,kafka:9092', False)}"
        ),
    ],
    ids=["kafka-python", "aiokafka"],
)
def test_a_broker_that_is_not_there_is_named_with_what_to_do(error: Exception) -> None:
    line = explain(error)
    assert line is not None
    assert line.startswith("no Kafka broker answers at 127.0.0.1:5, kafka:9092: ")
    assert "forestay up" in line


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConfigurationError("mend it"), "mend it"),
        (UnknownTopicOrPartitionError("clickstream"), "forestay topics declare"),
        (
            TopicAuthorizationFailedError("clickstream"),
            "needs (TopicAuthorizationFailedError: clickstream): docs/security.md",
        ),
        (aiokafka.errors.GroupAuthorizationFailedError("forestay"), "FailedError: forestay): docs/security.md"),
        (aiokafka.errors.NodeNotReadyError("node 2"), "Kafka says NodeNotReadyError: node 2. `forestay doctor`"),
        (ModuleNotFoundError("No module named 'plotly'", name="plotly.offline"), "pip install 'forestay[embedded]'"),
        (ModuleNotFoundError("No module named 'scipy'", name="scipy.stats"), "--extra embedded --extra train`, else"),
        (PermissionError(13, "Permission denied", "/root/x"), "/root/x: Permission denied"),
    ],
)
def test_errors_in_words(error: Exception, said: str) -> None:
    assert said in (explain(error) or "")


@pytest.mark.parametrize(
    "error", [RuntimeError("a bug"), ModuleNotFoundError("x", name="forestay.nothing"), OSError()]
)
def test_a_bug_is_not_explained_away(error: Exception) -> None:
    assert explain(error) is None


# -- send --------------------------------------------------------------------------------------------


def test_a_recording_is_pointed_to_replay(tmp_path: Path) -> None:
    (tmp_path / "shop.parquet").write_bytes(b"PAR1....")
    (tmp_path / "shop.jsonl").write_bytes(b'{"format":"forestay-recording","version":1}\n')
    for name in ("shop.parquet", "shop.jsonl"):
        done = forestay("send", name)
        assert (done.exit_code, done.stderr) == (
            1,
            f"forestay: {name} is a recording: send it with `forestay replay {name}`\n",
        )
