"""Promotion, rollback, shadow and canary: each is one step, and the folder can be served at every moment."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.churn_model import lay_candidate, lay_first_version

from forestay.shell.scoring.rollout import Rollout, version_facts
from forestay.shipping.changes import Conditions, NoServer, Refused, Server, Shipping, rollout_of
from forestay.shipping.errors import ShippingError
from forestay.shipping.folder import ModelFolder
from forestay.shipping.triton_config import parameters_of, read_config

#: A change of the roll-out.
Change = Callable[[], Rollout]


class BrokenError(Exception):
    """A server, or a disk, that fails."""


class Unwilling(NoServer):
    """A server that takes nothing; keeps what it was shown when it was to go back."""

    def __init__(self, folder: ModelFolder) -> None:
        self.folder = folder
        self.back: list[str] = []

    def take(self, then: Rollout) -> None:
        del then
        raise BrokenError

    def take_back(self) -> None:
        self.back.append(self.folder.config.read_text())


@pytest.fixture
def folder(tmp_path: Path) -> ModelFolder:
    """A repository of one version, as it was laid out before there were several."""
    return ModelFolder(lay_first_version(tmp_path / "repository"))


@pytest.fixture
def candidate(tmp_path: Path) -> Path:
    lay_candidate(tmp_path / "candidate", 4)
    return tmp_path / "candidate"


def shipping(folder: ModelFolder, server: Server | None = None, **conditions: Any) -> Shipping:
    return Shipping(folder, server or NoServer(), Conditions(**conditions))


def served(folder: ModelFolder) -> list[int]:
    """Returns what Triton would serve; everything it needs for that must be there, and agree."""
    config = read_config(folder.config)
    numbers = list(config.version_policy.specific.versions) or folder.versions()[-1:]
    for number in numbers:
        assert (folder.path / str(number) / "model.onnx").is_file()
    rollout = rollout_of(folder)
    assert set(rollout.asked) <= set(numbers)
    for number in rollout.asked:
        facts = version_facts(parameters_of(config), number, rollout.current)
        metrics = folder.path / str(number) / "metrics.json"
        if metrics.is_file():
            assert facts["model_version"] == json.loads(metrics.read_text())["model_version"]
    return numbers


def contents(folder: ModelFolder) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder.path)): file.read_bytes() for file in folder.path.rglob("*") if file.is_file()
    }


def test_a_candidate_becomes_the_next_version_and_the_one_before_stays_served(
    folder: ModelFolder, candidate: Path
) -> None:
    assert shipping(folder).promote(str(candidate)) == Rollout(2, before=(1,), former=1, revision=1)
    assert served(folder) == [1, 2]
    for name in ("model.onnx", "metrics.json", "model_card.md", "config.pbtxt"):
        assert (folder.path / "2" / name).read_bytes() == (candidate / name).read_bytes()
    # The first version has become one of many.
    assert {file.name for file in folder.path.iterdir()} == {"1", "2", "config.pbtxt", "history.jsonl"}
    assert {"metrics.json", "model_card.md", "config.pbtxt"} <= {file.name for file in (folder.path / "1").iterdir()}
    admission = json.loads((folder.path / "2" / "admission.json").read_text())
    assert admission["force"] is None
    assert {one["outcome"] for one in admission["gates"]} == {"passed"}


def test_a_rollback_goes_back_step_by_step(folder: ModelFolder, candidate: Path, tmp_path: Path) -> None:
    shipping(folder).promote(str(candidate))
    lay_candidate(tmp_path / "third", 5)
    shipping(folder).promote(str(tmp_path / "third"))
    assert shipping(folder).rollback() == Rollout(2, before=(1,), former=3, revision=3)
    assert served(folder) == [2, 3]
    assert shipping(folder).rollback().current == 1
    assert served(folder) == [1, 2]
    with pytest.raises(ShippingError, match="nothing to go back to"):
        shipping(folder).rollback()
    did = [json.loads(line)["did"] for line in (folder.path / "history.jsonl").read_text().splitlines()]
    assert did == ["promote", "promote", "rollback", "rollback"]


def test_a_version_goes_from_shadow_to_canary_to_current(folder: ModelFolder, candidate: Path) -> None:
    assert shipping(folder).shadow(str(candidate)).shadow == 2
    assert served(folder) == [1, 2]
    tried = shipping(folder).canary("2", 0.05)
    assert (tried.current, tried.shadow, tried.canary, tried.canary_share) == (1, None, 2, 0.05)
    assert tried.canary_salt == json.loads((candidate / "metrics.json").read_text())["model_version"]
    more = shipping(folder).canary("2", 0.5)
    assert more.canary_salt == tried.canary_salt
    promoted = shipping(folder).promote("2")
    assert promoted == Rollout(2, before=(1,), former=1, revision=4)
    assert folder.versions() == [1, 2]


def test_a_candidate_that_is_a_version_already_is_not_admitted_again(folder: ModelFolder, candidate: Path) -> None:
    """Else the trial of it would go on beside itself."""
    shipping(folder).shadow(str(candidate))
    tried = shipping(folder).canary(str(candidate), 0.1)
    assert (tried.current, tried.shadow, tried.canary) == (1, None, 2)
    promoted = shipping(folder).promote(str(candidate))
    assert (promoted.current, promoted.shadow, promoted.canary) == (2, None, None)
    assert folder.versions() == [1, 2]
    with pytest.raises(ShippingError, match="version 2 is current already"):
        shipping(folder).promote(str(candidate))


def test_a_rollback_ends_a_canary(folder: ModelFolder, candidate: Path, tmp_path: Path) -> None:
    shipping(folder).promote(str(candidate))
    lay_candidate(tmp_path / "third", 5)
    assert shipping(folder).canary(str(tmp_path / "third"), 0.1).canary == 3
    assert shipping(folder).rollback() == Rollout(1, former=2, revision=3)


def test_shadow_and_canary_can_be_ended(folder: ModelFolder, candidate: Path) -> None:
    shipping(folder).shadow(str(candidate))
    assert shipping(folder).shadow(None).shadow is None
    assert served(folder) == [1]
    shipping(folder).canary("2", 0.1)
    ended = shipping(folder).canary(None, 0.1)
    assert (ended.canary, ended.canary_share, ended.canary_salt) == (None, 0.0, "")


def test_versions_with_other_outputs_share_what_they_have_in_common(folder: ModelFolder, tmp_path: Path) -> None:
    lay_candidate(tmp_path / "explained", 4, explained=True)
    shipping(folder).canary(str(tmp_path / "explained"), 0.1)
    assert [one.name for one in read_config(folder.config).output] == ["churn_probability"]
    shipping(folder).promote("2")
    # The former version lacks an output: it would keep Triton from serving it, and is not served.
    assert [one.name for one in read_config(folder.config).output] == ["churn_probability", "contributions"]
    assert served(folder) == [2]


def test_an_open_dimension_is_served_as_fixed_while_a_version_has_it_so(folder: ModelFolder, candidate: Path) -> None:
    config = candidate / "config.pbtxt"
    config.write_text(config.read_text().replace("dims: [64,", "dims: [-1,"))
    shipping(folder).canary(str(candidate), 0.1)
    assert [next(iter(one.dims)) for one in read_config(folder.config).input][:2] == [64, 64]
    shipping(folder).promote("2")
    assert [next(iter(one.dims)) for one in read_config(folder.config).input][:2] == [-1, -1]
    assert served(folder) == [2]


def test_gates_refuse_and_nothing_changes(folder: ModelFolder, tmp_path: Path) -> None:
    lay_candidate(tmp_path / "bad", 4, told={"onnx_parity": 1.0})
    before = contents(folder)
    with pytest.raises(Refused, match="parity"):
        shipping(folder).promote(str(tmp_path / "bad"))
    assert contents(folder) == before
    shipping(folder).shadow(str(tmp_path / "bad"))
    before = contents(folder)
    changes: list[Change] = [lambda: shipping(folder).promote("2"), lambda: shipping(folder).canary("2", 0.1)]
    for change in changes:
        with pytest.raises(Refused, match="parity") as refused:
            change()
        assert [one.words for one in refused.value.verdicts if one.gate == "parity"]
    assert contents(folder) == before


def test_a_forced_version_keeps_why(folder: ModelFolder, tmp_path: Path) -> None:
    lay_candidate(tmp_path / "bad", 4, told={"onnx_parity": 1.0})
    shipping(folder, force="measured elsewhere").promote(str(tmp_path / "bad"))
    admission = json.loads((folder.path / "2" / "admission.json").read_text())
    assert admission["force"] == "measured elsewhere"
    assert [one["gate"] for one in admission["gates"] if one["outcome"] == "refused"] == ["parity"]
    shipping(folder).rollback()
    shipping(folder, force="again").promote("2")
    assert json.loads((folder.path / "2" / "admission.json").read_text())["force"] == "again"


def test_what_no_worker_would_take_cannot_be_forced(folder: ModelFolder, tmp_path: Path) -> None:
    lay_candidate(tmp_path / "bad", 4, digest="0" * 32)
    changes: list[Change] = [
        lambda: shipping(folder, force="now").promote(str(tmp_path / "bad")),
        lambda: shipping(folder).shadow(str(tmp_path / "bad")),
    ]
    for change in changes:
        with pytest.raises(Refused, match="input"):
            change()
    assert folder.versions() == [1]


@pytest.mark.parametrize("unjudged", [False, True])
def test_gates_that_cannot_judge_are_passed_only_when_told_so(
    folder: ModelFolder, candidate: Path, monkeypatch: pytest.MonkeyPatch, unjudged: bool
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    if unjudged:
        assert shipping(folder, unjudged=True).promote(str(candidate)).current == 2
    else:
        with pytest.raises(Refused, match="graph, latency"):
            shipping(folder).promote(str(candidate))


def test_what_a_server_does_not_take_is_taken_back(folder: ModelFolder, candidate: Path, tmp_path: Path) -> None:
    shipping(folder).promote(str(candidate))
    lay_candidate(tmp_path / "third", 5)
    before = contents(folder)
    server = Unwilling(folder)
    changes: list[Change] = [
        lambda: shipping(folder, server).promote(str(tmp_path / "third")),
        lambda: shipping(folder, server).rollback(),
        lambda: shipping(folder, server).canary(str(tmp_path / "third"), 0.1),
    ]
    for change in changes:
        with pytest.raises(BrokenError):
            change()
        assert contents(folder) == before
    # It is told to go back when the files are as they were.
    assert [text.encode() for text in server.back] == [before["config.pbtxt"]] * 3


def steps(folder: ModelFolder, monkeypatch: pytest.MonkeyPatch, last: int) -> Iterator[int]:
    """Lets the step after the `last` one fail, for good: as if the machine went down there."""
    done = 0

    def step(name: str) -> None:
        plain = getattr(ModelFolder, name)

        def stepped(*args: Any) -> Any:
            nonlocal done
            if done >= last:
                raise BrokenError
            done += 1
            result = plain(*args)
            served(folder)
            return result

        monkeypatch.setattr(ModelFolder, name, stepped)

    for name in ("write", "admit", "remove", "tell"):
        step(name)
    return iter(lambda: done, None)


@pytest.mark.parametrize("last", range(8))
def test_a_crash_at_any_step_leaves_a_folder_that_can_be_served_and_changed(
    folder: ModelFolder, candidate: Path, monkeypatch: pytest.MonkeyPatch, last: int
) -> None:
    with monkeypatch.context() as patched:
        done = steps(folder, patched, last)
        try:
            shipping(folder).promote(str(candidate))
        except BrokenError:
            assert next(done) == last
    assert served(folder)
    rollout = rollout_of(folder)
    target = shipping(folder).shadow(None) if rollout.current == 2 else shipping(folder).promote(str(candidate))
    assert target.current >= 2
    served(folder)


def test_only_one_changes_it_at_a_time(folder: ModelFolder) -> None:
    with folder.locked(), pytest.raises(ShippingError, match="another"), ModelFolder(folder.path).locked():
        pass
    with ModelFolder(folder.path).locked():
        pass


@pytest.mark.parametrize(
    ("what", "words"), [("7", "no version 7, but: 1"), ("1", "current already"), ("nowhere", "neither the number")]
)
def test_what_cannot_be_promoted_is_told(folder: ModelFolder, what: str, words: str) -> None:
    with pytest.raises(ShippingError, match=words):
        shipping(folder).promote(what)


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(ShippingError, match="--repository"):
        ModelFolder(tmp_path)


def test_a_folder_of_one_version_answers_with_it(folder: ModelFolder) -> None:
    assert rollout_of(folder) == Rollout(1)
