"""`forestay policy fit`: what a log tells of offers' effects, and that the policy it makes is the better one."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from support.decision_logs import FUNCTION, SHOP, decisions, outcomes, write_lines
from typer.testing import CliRunner, Result

from forestay.cli.main import app
from forestay.core.decision.catalogue import Catalogue
from forestay.core.decision.policy import expected_value
from forestay.core.policy.posterior import SIGNALS, Posterior
from forestay_training.offpolicy.catalogue_policy import situation_of
from forestay_training.offpolicy.own_log import own_log
from forestay_training.offpolicy.records import read_records
from forestay_training.policy.fitting import fit, signals_of

pytestmark = pytest.mark.training

#: The large offer earns, the small one costs, by spend; the shop believes otherwise.
EFFECTS = {None: 0.0, "small": -4.0, "large": 9.0}
#: Has learned nothing and tries everything: that of the shop's estimate would give no chance to what it thinks dear.
EXPLORING = Catalogue.model_validate(
    {
        **SHOP.model_dump(mode="json"),
        "policy": {
            "kind": "linear_thompson",
            "exploration": 0.6,
            "posterior": {
                "signals": SIGNALS, "function": FUNCTION, "decisions": 0, "prior_deviation": 5.0, "heads": {},
            },
        },
    }
)  # fmt: skip


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = decisions(500, shop=EXPLORING)
    return write_lines(tmp_path_factory.mktemp("log") / "log.jsonl", made, outcomes(made, EFFECTS))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "offers.yaml"
    path.write_text(yaml.safe_dump(SHOP.model_dump(mode="json")))
    return path


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(app, [*map(str, args)])


def test_heads_are_the_solution_of_the_stacked_least_squares(log: Path) -> None:
    """The oracle: prior rows stacked under the data, by `lstsq`; covariance by the pseudo-inverse of the stack."""
    own = own_log(read_records([log]))
    fitted = fit(own, SHOP, 50.0)
    seen = np.array([signals_of(one, SHOP) for one in own.decisions])
    idle = np.array([one.offer_id is None for one in own.decisions])

    def stacked(rows: np.ndarray, ridge: float) -> np.ndarray:
        return np.vstack([rows, np.eye(len(SIGNALS)) * ridge**0.5])

    zeros = np.zeros(len(SIGNALS))
    base = np.linalg.lstsq(stacked(seen[idle], 1.0), np.concatenate([own.log.reward[idle], zeros]), rcond=None)[0]
    above = own.log.reward - seen @ base
    assert fitted.noise == pytest.approx(np.sqrt((above[idle] ** 2).mean()))
    for offer in SHOP.offers:
        rows = np.array([one.offer_id == offer.id for one in own.decisions])
        made = [one for one in own.decisions if one.offer_id == offer.id]
        estimate = [expected_value(offer, situation_of(one), one.churn.probability, SHOP) for one in made]
        stack = stacked(seen[rows], 50.0)
        mean = np.linalg.lstsq(stack, np.concatenate([above[rows] - estimate, zeros]), rcond=None)[0]
        half = np.linalg.pinv(stack)
        head = fitted.posterior.heads[offer.id]
        assert head.decisions == rows.sum() > 50
        assert np.allclose(head.mean, mean, atol=1e-8)
        assert np.allclose(head.covariance, fitted.noise**2 * half @ half.T, atol=1e-8)
    assert fitted.posterior.prior_deviation == pytest.approx(fitted.noise / 50**0.5)
    assert fitted.posterior.decisions == len(own.decisions) == fitted.nothing + sum(~idle)


def test_what_is_learned_is_chosen_and_judged_better(log: Path, shop: Path, tmp_path: Path) -> None:
    """From the command's file into a catalogue, and through the gate by a log that was not learned from."""
    result = run("policy", "fit", "--log", log, "--catalogue", shop, "--out", tmp_path / "learned.json", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    learned = Posterior.model_validate_json((tmp_path / "learned.json").read_bytes())
    assert (told["digest"], told["reward_function"]) == (learned.digest(), FUNCTION)
    assert told["decisions"]["offers"] == {name: learned.heads[name].decisions for name in ("small", "large")}
    content = SHOP.model_dump(mode="json")
    content["policy"] |= {"kind": "linear_thompson", "posterior": "learned.json", "exploration": 0.06}
    del content["policy"]["name"]
    (tmp_path / "offers.yaml").write_text(yaml.safe_dump(content))
    later = [one.model_copy(update={"user_id": f"later-{one.user_id}"}) for one in decisions(500, shop=EXPLORING)]
    fresh = write_lines(tmp_path / "fresh.jsonl", later, outcomes(later, EFFECTS, seed=11))
    judged = run(
        "ope",
        "--log",
        fresh,
        "--policy",
        tmp_path / "offers.yaml",
        "--at-least",
        "logged",
        "--draws",
        "200",
        "--json",
    )
    assert judged.exit_code == 0, judged.output
    assert json.loads(judged.stdout)["verdict"]["said"] == "better"


def test_the_same_log_gives_the_same_bytes(log: Path, shop: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert run("policy", "fit", "--log", log, "--catalogue", shop, "--out", tmp_path / name).exit_code == 0
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_too_little_to_learn_from_is_an_error_that_says_so(tmp_path: Path, shop: Path) -> None:
    made = decisions(40)
    few = write_lines(tmp_path / "few.jsonl", made, outcomes(made, EFFECTS))
    result = run("policy", "fit", "--log", few, "--catalogue", shop, "--out", tmp_path / "out.json")
    assert result.exit_code == 1
    assert "did nothing; it takes 100" in str(result.output) + str(result.exception)
    assert not (tmp_path / "out.json").exists()


def test_offers_that_are_gone_are_counted_and_new_ones_have_no_head(log: Path) -> None:
    own = own_log(read_records([log]))
    small, large = SHOP.offers
    changed = SHOP.model_copy(update={"offers": [small, large.model_copy(update={"id": "new"})]})
    fitted = fit(own, changed, 100.0)
    assert set(fitted.posterior.heads) == {"small"}
    assert fitted.gone == sum(one.offer_id == "large" for one in own.decisions) > 0


def test_help_teaches() -> None:
    for words in (("policy", "--help"), ("policy", "fit", "--help")):
        assert run(*words).exit_code == 0
    assert "forestay ope" in run("policy", "fit", "--help").output
