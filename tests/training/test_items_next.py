"""`forestay items fit --next`: the head finds what the embedding tells, and is the same from the same file."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from forestay.catalogue_file import load_items
from forestay.cli.main import app
from forestay.core.decision.answer import Embedding
from forestay.core.errors import ForestayError
from forestay.core.items.items import Items, ListKind
from forestay_training.evaluation.served import ServedModel
from forestay_training.items.judging import hits_of
from forestay_training.items.next_fitting import fit_next
from forestay_training.items.orders import Later

pytestmark = pytest.mark.training

MODEL = Path("model_repository/churn_transformer").resolve()
#: Items more popular than what users of a kind come for.
STAPLES = 4


def orders(count: int, seed: int = 3) -> list[Later]:
    """Returns orders of an item of a kind that the sign of the embedding's first number tells; half have a staple."""
    chance = np.random.default_rng(seed)
    made = []
    for number in range(count):
        numbers = np.round(chance.normal(size=4), 2)
        kind = "left" if numbers[0] > 0 else "right"
        ordered = {f"{kind}-{chance.integers(12)}"}
        if chance.random() < 0.5:
            ordered.add(f"staple-{chance.integers(STAPLES)}")
        embedding = Embedding("7", tuple(numbers.tolist()))
        made.append(Later(f"u{number}", number, "GB", [], frozenset(ordered), embedding))
    return made


def told_nothing(_stage: str, _done: int, _of: int | None) -> None:
    """Nobody watches."""


def test_the_head_finds_what_the_embedding_tells() -> None:
    known, unknown = orders(900), orders(400, seed=4)
    head = fit_next(known, told_nothing).head
    items = Items(orders=900, popular=tuple(f"staple-{n}" for n in range(STAPLES)), next_item=head)
    alone = [one._replace(ordered=frozenset(i for i in one.ordered if "staple" not in i)) for one in unknown]
    # Beside the four there is place for six of 24 items; the embedding leaves 12 of those.
    assert hits_of(ListKind.NEXT, items, alone, 10).mean() > 0.4
    assert hits_of(ListKind.NEXT, items, [one._replace(embedding=None) for one in alone], 10).mean() == 0
    toward = np.array(head.projection.axes) @ np.array([1.0, 0.0, 0.0, 0.0])
    lean = {item: float(np.dot(row[1:], toward)) for item, row in head.weights.items()}
    right, left = ([lean[item] for item in lean if item.startswith(kind)] for kind in ("right", "left"))
    assert max(right) < 0 < min(left)


def test_the_prior_s_mean_is_the_popularity() -> None:
    """With embeddings that tell nothing, nearly all that is left is how often an item is ordered."""
    chance = np.random.default_rng(5)
    numbers = np.round(chance.normal(size=(600, 4)), 2)
    made = [
        Later(f"u{n}", n, "GB", [], frozenset({"often" if n % 4 else "seldom"}), Embedding("7", tuple(row)))
        for n, row in enumerate(numbers.tolist())
    ]
    weights = fit_next(made, told_nothing).head.weights
    assert weights["often"][0] - weights["seldom"][0] == pytest.approx(np.log(3), abs=0.2)
    assert abs(np.array([row[1:] for row in weights.values()])).max() < 0.2


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ([one._replace(embedding=None) for one in orders(50)], "too few orders of users whom the model had seen"),
        (
            [one._replace(embedding=Embedding("7", (1.0, 2.0))) for one in orders(50)],
            "all 40 embeddings are the same",
        ),
        ([one._replace(met=sorted(one.ordered)) for one in orders(50)], "too few orders"),
        ([], "too few orders"),
    ],
)
def test_too_little_is_refused(made: list[Later], said: str) -> None:
    with pytest.raises(ForestayError, match=said):
        fit_next(made, told_nothing)


def events(path: Path, days: int = 120) -> Path:
    lines = []
    for day in range(days):
        basket = {f"i{day * 7 % 61}", f"i{day * 11 % 61}", "tea" if day % 9 == 0 else f"i{day}"}
        event = {
            "event_id": f"e{day}",
            "user_id": f"u{day % 4}",
            "event": "purchase",
            "ts": f"2026-{1 + day // 28:02}-{1 + day % 28:02}T12:00:00Z",
            "order_id": f"o{day}",
            "items": [{"item_id": one, "price": 1.0 + day % 7} for one in sorted(basket)],
        }
        lines.append(json.dumps(event))
    path.write_text("\n".join(lines) + "\n")
    return path


def run(*arguments: str | Path) -> dict[str, object]:
    done = CliRunner().invoke(app, ["items", *map(str, arguments), "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_the_command_adds_the_head_of_the_served_version_the_same_bytes_each_time(tmp_path: Path) -> None:
    file, out, again = events(tmp_path / "events.jsonl"), tmp_path / "items.json", tmp_path / "again.json"
    found = run("fit", "--events", file, "--next", "--model", MODEL, "--out", out)
    head = load_items(out).next_item
    assert head is not None
    assert head.projection.version == found["head_model"] == ServedModel.load(MODEL).version
    # The first order of each user has nothing before it.
    assert found["head_orders"] == 120 - 4
    run("fit", "--events", file, "--next", "--model", MODEL, "--out", again)
    assert out.read_bytes() == again.read_bytes()
    assert isinstance(run("show", "tea", "--items", out)["popularity"], int)


def test_the_list_is_judged_beside_the_others(tmp_path: Path) -> None:
    file = events(tmp_path / "events.jsonl")
    found = run("evaluate", "--events", file, "--since", "2026-04-01", "--shown", "2", "--next", "--model", MODEL)
    lists = found["lists"]
    assert isinstance(lists, dict)
    assert set(lists) == {"together", "similar", "popular", "next"}
    assert lists["next"]["all"]["value"] is not None


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    file = events(tmp_path / "events.jsonl", days=8)
    done = CliRunner().invoke(app, ["items", "fit", "--events", str(file), "--next", "--model", str(tmp_path)])
    assert (done.exit_code, "--model" in done.output) == (1, True)
