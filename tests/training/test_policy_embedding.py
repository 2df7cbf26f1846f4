"""`forestay policy fit --embedding`: the directions of the embedding, and what a policy that reads them earns."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from msgspec import structs
from support.decision_logs import FUNCTION, SHOP, decisions, embedded, outcomes, write_lines
from typer.testing import CliRunner, Result

from forestay.cli.main import app
from forestay.core.decision.catalogue import Catalogue
from forestay.core.errors import ForestayError
from forestay.core.policy.posterior import SIGNALS, Posterior
from forestay_schemas.decision import Decision
from forestay_training.offpolicy.catalogue_policy import weighed
from forestay_training.offpolicy.own_log import NOTHING, own_log
from forestay_training.offpolicy.records import Decided, read_records
from forestay_training.policy.fitting import fit
from forestay_training.policy.projecting import project

pytestmark = pytest.mark.training

NOTHING_LEARNED = {"signals": SIGNALS, "function": FUNCTION, "decisions": 0, "prior_deviation": 5.0, "heads": {}}


def shop(posterior: object, exploration: float) -> Catalogue:
    content = SHOP.model_dump(mode="json")
    content["policy"] = {"kind": "linear_thompson", "exploration": exploration, "posterior": posterior}
    return Catalogue.model_validate(content)


EXPLORING = shop(NOTHING_LEARNED, 0.6)
#: Whatever the spend, an offer brings three times the first number of the embedding: harm to a third of the users.
BY_EMBEDDING = 3.0
NO_EFFECT: dict[str | None, float] = {None: 0.0, "small": 0.0, "large": 0.0}


def logged(path: Path, made: list[Decision]) -> Path:
    return write_lines(path, made, outcomes(made, NO_EFFECT, by_embedding=BY_EMBEDDING))


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return logged(tmp_path_factory.mktemp("log") / "log.jsonl", embedded(decisions(500, shop=EXPLORING)))


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(app, [*map(str, args)])


def decided(log: Path) -> list[Decided]:
    return list(own_log(read_records([log])).decisions)


def earned(posterior: Posterior, users: list[Decided]) -> float:
    """What the policy earns a decision, by the truth."""
    chances = [dict(weighed(one, shop(posterior.model_dump(mode="json"), 0.06))) for one in users]
    acting = [1.0 - chance[NOTHING] for chance in chances]
    return float(np.mean([BY_EMBEDDING * one.embedding[0] * act for one, act in zip(users, acting, strict=True)]))


@pytest.mark.parametrize("axes", [1, 3])
def test_directions_are_those_of_the_covariance(log: Path, axes: int) -> None:
    """The oracle: eigenvectors of the covariance."""
    made = decided(log)
    found = project(made, axes)
    rows = np.array([one.embedding for one in made])
    values, vectors = np.linalg.eigh(np.cov(rows.T, bias=True))
    expected = vectors[:, ::-1][:, :axes].T
    told = np.array(found.projection.axes)
    cosines = (told * expected).sum(axis=1) / np.linalg.norm(told, axis=1)
    assert np.abs(cosines) == pytest.approx(np.ones(axes))
    assert found.kept == pytest.approx(values[::-1][:axes].sum() / values.sum())
    signals = (rows - np.array(found.projection.centre)) @ told.T
    assert signals.mean(axis=0) == pytest.approx(np.zeros(axes), abs=1e-9)
    assert (signals**2).sum(axis=1).mean() == pytest.approx(1.0)


def test_of_several_versions_the_one_that_answered_most_counts(log: Path) -> None:
    made = decided(log)
    older = structs.replace(made[0].churn, version="6")
    changed = [structs.replace(one, churn=older) if one.user_id < "u2" else one for one in made]
    found = project(changed, 2)
    assert found.projection.version == "7"
    assert found.decisions == sum(one.user_id >= "u2" for one in made) > len(made) / 2


def test_a_policy_that_reads_the_embedding_earns_what_another_cannot(log: Path, tmp_path: Path) -> None:
    own = own_log(read_records([log]))
    learned = {
        axes: fit(own, SHOP, 10.0, project(own.decisions, axes).projection if axes else None) for axes in (0, 2)
    }
    fresh = decided(logged(tmp_path / "fresh.jsonl", embedded(decisions(300, shop=EXPLORING), seed=77)))
    without, reading = (earned(learned[axes].posterior, fresh) for axes in (0, 2))
    best = float(np.mean([max(BY_EMBEDDING * one.embedding[0], 0.0) for one in fresh]))
    print(f"value a decision: {without:.2f} without, {reading:.2f} with two directions, {best:.2f} at best")
    assert without < 0.8 * best
    assert reading > 0.9 * best


def test_the_command_writes_a_posterior_that_a_catalogue_takes(log: Path, tmp_path: Path) -> None:
    offers, out = tmp_path / "offers.yaml", tmp_path / "learned.json"
    offers.write_text(yaml.safe_dump(SHOP.model_dump(mode="json")))
    result = run("policy", "fit", "--log", log, "--catalogue", offers, "--out", out, "--embedding", "2", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)["embedding"]
    assert (told["axes"], told["version"], told["decisions"]) == (2, "7", len(decided(log)))
    assert told["variance_kept"] > 0.9
    content = SHOP.model_dump(mode="json")
    content["policy"] = {"kind": "linear_thompson", "posterior": "learned.json"}
    offers.write_text(yaml.safe_dump(content))
    checked = run("catalogue", "check", offers)
    assert checked.exit_code == 0, checked.output
    people = run(
        "policy", "fit", "--log", log, "--catalogue", offers, "--out", tmp_path / "b.json", "--embedding", "2"
    )
    assert "2 directions" in people.output


def test_a_log_without_embeddings_says_how_to_get_them(log: Path) -> None:
    made = decided(log)
    bare = [structs.replace(one, embedding=()) for one in made]
    with pytest.raises(ForestayError, match="embedding: true"):
        project(bare, 2)
    with pytest.raises(ForestayError, match="differ in 8 directions: --embedding 8 at most"):
        project(made, 9)
