"""What a worker sends to the model is the training row of that user and moment, byte for byte."""

import random
from collections.abc import Sequence

import pytest
from support.builders import SOURCES, START, TOPIC, Click, catalogue, click, source
from support.datasets import Fed, Share, online_retail
from support.training_sets import Key, rows_of

from forestay.core.feature_set import FEATURE_NAMES
from forestay.core.partition import Partition
from forestay.core.rules import Rules
from forestay.core.units import DAY, HOUR, MINUTE
from forestay.dataset.plan import Label, Plan
from forestay.dataset.tables import Row
from forestay_schemas.types import TriggerKind

Input = tuple[bytes, ...]


def served(records: Sequence[Fed], rules: Rules) -> dict[Key, tuple[TriggerKind, Input]]:
    """Returns all inputs a worker's core makes of a stream, but for those that a later record tells anew.

    An input knows what had come by then: where something of that user and time comes after it, the row of the set
    knows more.
    """
    core = Partition(0, SOURCES, rules, catalogue())
    found: dict[Key, tuple[TriggerKind, Input]] = {}
    late: set[str] = set()
    for record, one in records:
        applied = core.apply(TOPIC, [record])
        late |= {(letter.key or b"").decode() for letter in applied.dead_letters}
        if one is not None:
            for key in [key for key in found if key.user_id == one["user_id"] and key.cutoff >= one["ts"]]:
                del found[key]
        for situation in applied.situations:
            content = tuple(array.tobytes() for array in situation.input)
            found[Key(situation.user_id, situation.now)] = situation.trigger.kind, content
    # Of files nothing comes too late: their users know more than the worker's.
    return {key: one for key, one in found.items() if key.user_id not in late}


def end_of_day(moment: int) -> int:
    """The last millisecond before a day after the moment."""
    return moment + DAY - 1


def spent(row: Row) -> float:
    """What the model is told the user has spent until then."""
    return float(row.input.features[FEATURE_NAMES.index("spend_total")])


def compare(clicks: Sequence[Click], live: dict[Key, tuple[TriggerKind, Input]]) -> set[TriggerKind]:
    """Compares live inputs with rows at their moments; returns what had triggered them.

    What a row says is spent within a day is what the model is told of more at the end of that day.
    """
    moments = {key.cutoff for key in live}
    plan = Plan(tuple(sorted(moments | {end_of_day(one) for one in moments})), (DAY,), 730 * DAY, Label.NO_EVENT)
    rows = rows_of(clicks, plan, known_until=max(one["ts"] for one in clicks) + 365 * DAY)
    made = {key: tuple(array.tobytes() for array in rows[key].input) for key in live}
    assert made == {key: content for key, (_, content) in live.items()}
    spends = {key: rows[key].spends[0] for key in live}
    assert spends == {
        key: pytest.approx(spent(rows[Key(key.user_id, end_of_day(key.cutoff))]) - spent(rows[key])) for key in live
    }
    assert any(spends.values())
    return {kind for kind, _ in live.values()}


def stream(seed: int) -> list[Click]:
    """Half a year of five users with repeats, some events up to a day late, no two of a user at one moment."""
    chance = random.Random(seed)
    kinds = ["page_view", "view_item", "add_to_cart", "remove_from_cart", "purchase", "refund", "login"]
    clicks = []
    for number, minute in enumerate(sorted(chance.sample(range(180 * 24 * 60), 300))):
        user = f"u{chance.randrange(5)}"
        clicks.append(
            click(
                f"e{number}",
                user,
                chance.choice(kinds),
                START + minute * MINUTE,
                item_id=f"i{chance.randrange(5)}",
                price=chance.randrange(100) / 4,
                order_id=f"o{number // 7}",
            )
        )
    arriving = sorted(clicks, key=lambda one: one["ts"] + (chance.random() < 0.1) * chance.randrange(24 * HOUR))
    again = chance.sample(range(len(arriving)), 20)
    for place in sorted(again, reverse=True):
        arriving.insert(place + 1, arriving[place])
    return arriving


@pytest.mark.parametrize("seed", [1, 2])
def test_all_that_is_served_of_a_stream_is_in_the_set(seed: int) -> None:
    clicks = stream(seed)
    fed = [Fed(source(one, offset), one) for offset, one in enumerate(clicks)]
    live = served(fed, Rules(score_interval=MINUTE))
    assert len(live) > 200
    random.Random(seed).shuffle(clicks)
    assert compare(clicks, live) == {TriggerKind.EVENT, TriggerKind.SILENCE}


def test_what_is_served_of_real_users_is_in_the_set() -> None:
    """Of the shipped recording, with its repeats, broken and late records; orders of many lines at one moment."""
    fed = list(online_retail(Share(3, 128)))
    live = served(fed, Rules())
    assert len(live) > 100
    kinds = compare([one.click for one in fed if one.click is not None], live)
    assert kinds == {TriggerKind.EVENT, TriggerKind.SILENCE}
