"""Units that move between partitions: none is made, none is lost, whatever is crashed, repeated, delayed or dropped.

Each partition is its books, its leases, a log of decisions, and what its last whole commit made durable.
The oracle counts decisions and totals on its own.
"""

from random import Random
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forestay.core.budget.account import Draw
from forestay.core.budget.account_key import AccountKey
from forestay.core.budget.book import Book
from forestay.core.budget.budget import Budget
from forestay.core.budget.exchange import Exchange, treasurer_of
from forestay.core.budget.exchange_record import decode_message
from forestay.core.budget.lease import Lease
from forestay.core.budget.records import BudgetsMark
from forestay.core.errors import DeadLetter
from forestay.core.units import DAY, MINUTE

LIMIT: Final = 997
BUDGET: Final = Budget(id="daily", limit=LIMIT)
START: Final = 20_000 * DAY
KEY: Final = AccountKey("daily", "2024-10-04", None)


class Node:
    """One partition; `inbox` is its part of the topic, from which it reads at its position."""

    def __init__(self, number: int, partitions: int) -> None:
        self.number, self.partitions = number, partitions
        self.decisions: list[tuple[str, Draw]] = []
        self.inbox: list[bytes] = []
        self.kept: tuple[BudgetsMark | None, int, int] = (None, 0, 0)
        self.recover()

    def recover(self) -> None:
        mark, decided, self.position = self.kept
        self.book = Book([BUDGET], self.number, self.partitions)
        self.book.restore([], mark)
        self.exchange = Exchange(self.book)
        self.exchange.restore()
        for action_id, draw in self.decisions[decided:]:
            self.book.book(action_id, [draw], None)

    def commit(self, nodes: list["Node"], random: Random) -> None:
        """Before the mark is whole, after it, or in the midst of the messages the process may be gone."""
        self.exchange.checkpoint()
        _, mark = self.book.checkpoint()
        if random.random() < 0.1:
            self.recover()
            return
        self.kept = (mark, len(self.decisions), self.position)
        for letter in self.exchange.durable():
            if random.random() < 0.1:
                self.recover()
                return
            nodes[letter.partition].inbox.append(letter.record.value or b"")

    def read(self, count: int) -> None:
        for value in self.inbox[self.position : self.position + count]:
            self.position += 1
            self.exchange.take(decode_message(value, self.number))

    def decide(self, amount: int, now: int) -> None:
        self.book.observe(now)
        draw = self.book.draw("daily", amount, now)
        if draw is not None:
            self.decisions.append((f"{self.number}-{len(self.decisions)}", draw))
            self.book.book(self.decisions[-1][0], [draw], None)

    @property
    def taken(self) -> int:
        return sum(draw.amount for _, draw in self.decisions)


def step(nodes: list[Node], now: int, random: Random) -> None:
    node = random.choice(nodes)
    what = random.random()
    if what < 0.35:
        node.decide(random.choice([1, 7, 40, 200, 600]), now)
    elif what < 0.55:
        node.exchange.tick(now)
    elif what < 0.75:
        node.commit(nodes, random)
    elif what < 0.9:
        node.read(random.choice([1, 2, 100]))
    elif what < 0.95:
        node.recover()
    elif node.inbox:
        node.inbox.append(random.choice(node.inbox))


def in_flight(nodes: list[Node]) -> int:
    """Returns what was given and has not come: by the totals of both sides."""
    given = {(node.number, to): units for node in nodes for to, units in lease(node).given.items()}
    had = {(by, node.number): units for node in nodes for by, units in lease(node).received.items()}
    return sum(units - had.get(pair, 0) for pair, units in given.items())


def lease(node: Node) -> Lease:
    account = node.book.open(KEY, START + DAY)
    assert account is not None
    return account.lease


def settle(nodes: list[Node]) -> None:
    """Lets all that is on its way arrive: nobody crashes any more, and nobody's minute comes."""
    for _ in range(6):
        for node in nodes:
            node.commit(nodes, Calm())
            node.read(len(node.inbox))


class Calm(Random):
    """Chance under which nothing goes wrong."""

    def random(self) -> float:
        return 1.0


@given(st.integers(0, 2**32), st.integers(2, 5))
def test_no_unit_is_made_or_lost(seed: int, partitions: int) -> None:
    random = Random(seed)
    nodes = [Node(number, partitions) for number in range(partitions)]
    now = START
    for _ in range(120):
        now += random.choice([0, MINUTE // 2, MINUTE, 20 * MINUTE if random.random() < 0.1 else MINUTE])
        step(nodes, min(now, START + DAY - 1), random)
        assert sum(node.taken for node in nodes) <= LIMIT
    settle(nodes)
    assert in_flight(nodes) == 0
    assert sum(node.book.left(KEY) for node in nodes) + sum(node.taken for node in nodes) == LIMIT
    assert all(node.book.left(KEY) >= 0 for node in nodes)


def test_a_partition_gets_what_another_has_left_for_an_offer_dearer_than_its_share() -> None:
    """Of 997 units over four partitions each has 249; after a refusal the treasurer gathers 600 for one of them."""
    nodes = [Node(number, 4) for number in range(4)]
    asking = nodes[(treasurer_of("daily", 4) + 1) % 4]
    for minute in range(6):
        for node in nodes:
            node.exchange.tick(START + minute * MINUTE)
        asking.decide(600, START + minute * MINUTE)
        for node in nodes:
            node.commit(nodes, Calm())
        for node in nodes:
            node.read(len(node.inbox))
    assert asking.taken == 600
    assert sum(node.taken for node in nodes) == 600


def test_all_follow_the_treasurers_price_and_pace_themselves_when_it_falls_silent() -> None:
    nodes = [Node(number, 3) for number in range(3)]
    for minute in range(10):
        for node in nodes:
            node.decide(4, START + minute * MINUTE)
            node.exchange.tick(START + minute * MINUTE)
            node.commit(nodes, Calm())
        for node in nodes:
            node.read(len(node.inbox))
    now = START + 10 * MINUTE
    prices = {node.book.price("daily", now) for node in nodes}
    assert len(prices) == 1
    assert prices.pop() > 1
    follower = nodes[(treasurer_of("daily", 3) + 1) % 3]
    before = follower.book.price("daily", now)
    follower.decide(1, now)
    assert follower.book.price("daily", now) == before
    follower.decide(1, now + 60 * MINUTE)
    assert follower.book.price("daily", now + 60 * MINUTE) != before


@pytest.mark.parametrize("value", [None, b"", b"{}", b'{"is": "report"}'])
def test_what_is_no_message_is_a_dead_letter(value: bytes | None) -> None:
    with pytest.raises(DeadLetter, match="no message about a budget"):
        decode_message(value, 0)


def test_a_message_for_another_partition_is_a_dead_letter() -> None:
    nodes = [Node(number, 2) for number in range(2)]
    follower = nodes[1 - treasurer_of("daily", 2)]
    follower.exchange.tick(START)
    follower.commit(nodes, Calm())
    with pytest.raises(DeadLetter, match="is for partition"):
        decode_message(nodes[1 - follower.number].inbox[0], follower.number)
