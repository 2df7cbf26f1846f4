"""Whole partitions that share a budget which moves, and die at any record: nothing overspent, nothing lost.

The oracle knows the decisions on their topic, the marks that are durable, and the limit; it adds up.
"""

import json
from collections import Counter
from random import Random

import pytest
from support.builders import SOURCES, catalogue, click, offer
from support.fakes import hashing_model
from support.identity_world import Place, World
from support.ledger_world import again, of_world

from forestay.core.budget.exchange_record import decode_message
from forestay.core.budget.records import BudgetsMark
from forestay.core.rules import Rules
from forestay.core.state.state_codec import MARK_KEY, decode_mark
from forestay.core.units import DAY, MINUTE
from forestay.rerun.outputs import Kind

LIMIT = 700
#: 0.30, 0.90 and 2.10: of 700 over three partitions the last fits into none of the shares of 233.
SHOP = catalogue(
    offer("mail", effect=0.3, cost={"fixed": 0.3}, budgets=["daily"]),
    offer("call", effect=0.6, cost={"fixed": 0.9}, budgets=["daily"]),
    offer("gift", effect=0.9, cost={"fixed": 2.1}, budgets=["daily"]),
    cap_contacts=None,
    policy={"exploration": 0.3, "margin": 1.0},
    budgets=[{"id": "daily", "limit": LIMIT}],
)
RULES = Rules(score_interval=0, merge_identities=False, budget_interval=MINUTE)
BEGIN = 20_000 * DAY
PARTS = 8

Pairs = Counter[tuple[int, int]]


class Shared(World):
    """Three partitions or more of one budget, whose books are looked at after every step."""

    def __init__(self, seed: int, partitions: int = 3, rules: Rules = RULES) -> None:
        self.chance = Random(seed)
        placed = {f"u{n}": n % partitions for n in range(4 * partitions)}
        super().__init__(placed, rules, SHOP, hashing_model("a"), self.chance)
        self._size = 0
        self._counted = Counter[int]()
        self._units: dict[int, Counter[str]] = {}

    def buy(self, begin: int, count: int) -> None:
        """Sends purchases from `begin` on, most of them by users of one partition."""
        now, users = begin, sorted(self.placed)
        clicks = []
        for number in range(count):
            now += self.chance.choice([0, MINUTE // 3, MINUTE, 7 * MINUTE])
            user = self.chance.choice([users[0], self.chance.choice(users)])
            clicks.append(click(f"e{begin}-{number}", user, "purchase", now, price=90, quantity=1))
        self.send(clicks)

    def live(self, begin: int, crashes: int, *, orderly: bool = False) -> None:
        """Sends purchases in parts, each when the one before is worked off: as events come in time, not at once."""
        for part in range(PARTS):
            self.buy(begin + part * 40 * MINUTE, 8)
            self.run(crashes, orderly=orderly and part == PARTS - 1)

    def stepped(self) -> None:
        size = sum(
            len(self.logs[Place(topic, number)]) for topic in ("state", "decisions") for number in self.numbers
        )
        if size == self._size:
            return
        self._size = size
        assert all(units <= LIMIT for units in self.taken().values())
        for period in {lease.period for mark in self.marks().values() for lease in mark.leases}:
            given, received = self.moved(period)
            # The shares are the limit, and so they stay: no unit has come that was not durably given away before.
            assert not received - given

    def taken(self) -> Counter[str]:
        """Returns what all decisions took, by day."""
        taken = Counter[str]()
        for units in self.by_partition().values():
            taken.update(units)
        return taken

    def by_partition(self) -> dict[int, Counter[str]]:
        """Returns what the decisions of each partition took, by day; it reads those that are new."""
        for number in self.numbers:
            log = self.logs[Place("decisions", number)]
            for record in log[self._counted[number] :]:
                for draw in json.loads(record.value or b"")["budgets"]:
                    self._units.setdefault(number, Counter())[draw["period"]] += draw["amount"]
            self._counted[number] = len(log)
        return self._units

    def marks(self) -> dict[int, BudgetsMark]:
        """Returns what the durable marks tell."""
        found: dict[int, BudgetsMark] = {}
        for number in self.numbers:
            log = self.logs[Place("state", number)]
            marked = next((record.value for record in reversed(log) if record.key == MARK_KEY), None)
            budgets = None if marked is None else decode_mark(marked).budgets
            if budgets is not None:
                found[number] = budgets
        return found

    def moved(self, period: str) -> tuple[Pairs, Pairs]:
        """Returns the units ever given and ever received in a period, by giver and receiver, as is durable."""
        given, received = Pairs(), Pairs()
        for number, mark in self.marks().items():
            for lease in mark.leases:
                if lease.period == period:
                    given.update({(number, other): units for other, units in lease.given})
                    received.update({(other, number): units for other, units in lease.received})
        return given, received


@pytest.mark.parametrize("seed", range(15))
def test_lives_that_end_anywhere_share_a_budget_to_the_unit(seed: int) -> None:
    world = Shared(seed, partitions=2 + seed % 3)
    for part in range(2):
        world.live(BEGIN + part * DAY, 1, orderly=part == 1)
    # What the last barrier let go, and what is told again.
    world.run(1)
    for period in world.taken():
        given, received = world.moved(period)
        assert given == received
    found = again(
        of_world(world),
        world.rules,
        SHOP,
        place=lambda key: world.placed[key.decode()],
        partitions=world.partitions,
    )
    assert found.divergence is None
    decided = {row.value for number in world.numbers for row in world.logs[Place("decisions", number)]}
    assert set(found.kept.values(Kind.DECISIONS)) <= decided


def test_in_these_lives_units_moved_and_a_partition_took_more_than_its_share() -> None:
    moved, dear = 0, 0
    for seed in range(6):
        world = Shared(seed)
        world.live(BEGIN, 1)
        moved += sum(sum(world.moved(period)[1].values()) for period in world.taken())
        dear += any(units > LIMIT // 3 + 1 for days in world.by_partition().values() for units in days.values())
    assert moved > 0
    assert dear > 0


def test_with_moves_off_nobody_tells_anything_and_what_has_moved_stays() -> None:
    world = Shared(0)
    world.live(BEGIN, 1)
    told = {number: len(world.logs[Place(SOURCES.budget, number)]) for number in world.numbers}
    given, _ = world.moved("2024-10-04")
    assert given
    world.rules = RULES._replace(budget_interval=0)
    world.live(BEGIN + DAY // 2, 1)
    assert world.moved("2024-10-04")[0] == given
    fresh = [
        decode_message(record.value, number)
        for number in world.numbers
        for record in world.logs[Place(SOURCES.budget, number)][told[number] :]
    ]
    # What was given before is told by every life that takes a partition over, and no more than that.
    assert {(one.sender, one.receiver, one.given) for one in fresh} <= {
        (*pair, units) for pair, units in given.items()
    }
    apart = Shared(5, rules=world.rules)
    apart.live(BEGIN, 1)
    assert not any(apart.logs[Place(SOURCES.budget, number)] for number in apart.numbers)
    assert all(not mark.leases for mark in apart.marks().values())
