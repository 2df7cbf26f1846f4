"""Budgets under crash, retry, rebalance and replay: never a unit too many, and none lost for ever.

Two partitions share two budgets. What is durable is kept as a worker's logs keep it: decisions, feedback, and a
changelog of which a crash may leave a part of the last commit. The oracle looks at decisions and feedback alone.
"""

from collections import Counter
from random import Random
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from forestay.core.budget.account import Draw
from forestay.core.budget.account_key import AccountKey
from forestay.core.budget.book import GRACE, Book
from forestay.core.budget.budget import Budget
from forestay.core.budget.records import BudgetsMark, decode_reservation, encode_reservation
from forestay.core.units import DAY, HOUR

PARTITIONS: Final = 2
START: Final = 20_000 * DAY
BUDGETS: Final = [
    Budget.model_validate({"id": "daily", "limit": 99}),
    Budget.model_validate(
        {
            "id": "spring",
            "period": "campaign",
            "limit": 251,
            "starts": "2024-10-04",
            "ends": "2024-10-10",
            "arms": {"a": 131, "b": 90},
        }
    ),
]
OFFERS: Final = [["daily"], ["spring"], ["daily", "spring"]]


def lapses(action_id: str) -> bool:
    """Says whether what an action has taken comes back by time: of each fifth it is spent then."""
    return not action_id.endswith(("0", "5"))


class Node:
    """One partition: its logs, and the books its owner has in memory."""

    def __init__(self, number: int) -> None:
        self.number = number
        #: Actions decided on: id, what they draw, until when.
        self.decisions: list[tuple[str, list[Draw], int | None]] = []
        #: What became of an action, or that all is told up to a moment.
        self.feedback: list[tuple[str, bool] | int] = []
        self.changelog: dict[str, bytes] = {}
        self.mark: BudgetsMark | None = None
        #: How many decisions and how much feedback the mark knows of, and the commit under way.
        self.durable = self.committing = (0, 0)
        self.writing: list[tuple[str, bytes | BudgetsMark | None]] = []
        self.recover()

    def recover(self) -> None:
        self.writing = []
        self.book = Book(BUDGETS, self.number, PARTITIONS)
        kept = [(name, decode_reservation(record)) for name, record in self.changelog.items()]
        self.book.restore(kept, self.mark)
        decided, self.heard = self.durable
        for decision in self.decisions[decided:]:
            self.take(decision)

    def begin_commit(self) -> None:
        """A commit begins when the one before has come through."""
        self.write(len(self.writing))
        changed, mark = self.book.checkpoint()
        self.writing = [(name, None if one is None else encode_reservation(one)) for name, one in changed.items()]
        self.writing.append(("mark", mark))
        self.committing = (len(self.decisions), self.heard)

    def write(self, count: int) -> None:
        """Makes so many records of the commit under way durable."""
        for name, written in self.writing[:count]:
            if isinstance(written, BudgetsMark):
                self.mark, self.durable = written, self.committing
            elif written is None:
                self.changelog.pop(name, None)
            else:
                self.changelog[name] = written
        del self.writing[:count]

    def decide(self, offer: list[str], amount: int, moment: int, arm: str | None, until: int | None) -> None:
        self.book.observe(moment)
        draws = [draw for name in offer if (draw := self.book.draw(name, amount, moment, arm)) is not None]
        if len(draws) == len(offer):
            self.decisions.append((f"{self.number}-{len(self.decisions)}", draws, until))
            self.take(self.decisions[-1])

    def take(self, decision: tuple[str, list[Draw], int | None]) -> None:
        self.book.book(*decision, lapses=lapses(decision[0]))

    def hear(self, count: int) -> None:
        for told in self.feedback[self.heard : self.heard + count]:
            self.heard += 1
            if isinstance(told, int):
                self.book.expire(told)
            elif told[1]:
                self.book.confirm(told[0])
            else:
                self.book.release(told[0])

    def truth(self, heard: int | None = None) -> Counter[AccountKey]:
        """Returns what is taken, by account, once so much of the feedback (by default all) is known."""
        untils = {action_id: until for action_id, _, until in self.decisions if until is not None}
        is_spent: dict[str, bool] = {}
        for told in self.feedback[:heard]:
            if isinstance(told, int):
                for action_id, until in untils.items():
                    if until + GRACE <= told:
                        is_spent.setdefault(action_id, not lapses(action_id))
            elif told[0] in untils:
                is_spent.setdefault(*told)
        taken: Counter[AccountKey] = Counter()
        for action_id, draws, _ in self.decisions:
            if is_spent.get(action_id, True):
                taken.update({draw.key: draw.amount for draw in draws})
        return +taken

    def check(self) -> None:
        """Holds the books against the truth. An account may be forgotten once its day is long over."""
        truth = self.truth(self.heard)
        for key, account in self.book.accounts.items():
            assert account.taken == truth[key], key
        assert all(key.period != "campaign" or key in self.book.accounts for key in truth)


def step(nodes: list[Node], now: int, chance: Random) -> int:
    """Has one thing happen somewhere; returns what the time is then."""
    node = chance.choice(nodes)
    what = chance.random()
    if what < 0.4:
        moment = now - chance.choice([0, 0, 0, 30, 100]) * HOUR
        until = chance.choice([None, now + HOUR, now + DAY])
        arm = chance.choice(["a", "b", "c", None])
        node.decide(chance.choice(OFFERS), chance.choice([0, 1, 7, 20, 45]), moment, arm, until)
    elif what < 0.5 and node.decisions:
        node.feedback.append((chance.choice(node.decisions)[0], chance.random() < 0.5))
    elif what < 0.6:
        node.hear(chance.choice([1, 3, 100]))
    elif what < 0.75:
        node.begin_commit()
    elif what < 0.9:
        # The worker is gone, or gives the partition away, with so much of a commit written.
        node.begin_commit()
        node.write(chance.choice([0, 1, 2, 1000]))
        node.recover()
    elif what < 0.93 and node.durable[0] < len(node.decisions) and not node.writing:
        node.take(node.decisions[-1])
    elif what > 0.96:
        now += chance.choice([1, 24, 60]) * HOUR
        for one in nodes:
            one.feedback.append(now)
    return now


@given(st.integers(0, 2**32))
def test_nothing_is_overspent_and_nothing_is_lost(seed: int) -> None:
    chance = Random(seed)
    nodes = [Node(number) for number in range(PARTITIONS)]
    limits = {("daily", None): 99, ("spring", "a"): 131, ("spring", "b"): 90}
    now = START
    for _ in range(80):
        now = step(nodes, now, chance)
        for node in nodes:
            node.check()
        for (budget, _, arm), taken in sum((node.truth() for node in nodes), Counter()).items():
            assert taken <= limits[budget, arm], (budget, arm)
    for node in nodes:
        node.feedback.append(now + 300 * DAY)
        node.hear(len(node.feedback))
        node.check()
        assert not node.book.reservations
        node.begin_commit()
        node.begin_commit()
        node.write(len(node.writing))
        assert not node.changelog, "a reservation that is over leaves nothing behind"
