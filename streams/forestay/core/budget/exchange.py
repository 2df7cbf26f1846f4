"""What partitions tell each other of budgets: the treasurer of a budget sets one price, and moves what is left.

Every minute of event time, or as is set, each partition reports to the treasurer, a partition that the budget's id
picks. That one paces what all have taken together, and answers with its price, with units, or with a call for some
(`treasurer.py`). Units are taken out of the giver's account first; the message goes out once that is durable. What a
crash leaves on its way is told again, as a total (`lease.py`). Nothing here is needed to stay within a limit: where
the treasurer is silent, each goes on with what it has, at a price of its own from the last one told.
"""

from typing import Any, Final, NamedTuple

from forestay.core.budget.account import Account
from forestay.core.budget.account_key import AccountKey
from forestay.core.budget.book import Book
from forestay.core.budget.budget import Budget, Span
from forestay.core.budget.exchange_record import Answer, Message, Report, encode_message, message_key
from forestay.core.budget.lease import share_of
from forestay.core.budget.pacing import STEPS
from forestay.core.budget.treasurer import Moves, Standing, moves
from forestay.core.errors import DeadLetter
from forestay.core.event import NEVER
from forestay.core.hashing import hash64
from forestay.core.record import OutputRecord
from forestay.core.units import MINUTE

#: How much of what a period's end is off by is put right by the price: what is left lies in many accounts.
_CLOSING: Final = 0.5
#: A treasurer that begins with fewer steps than a day has begins with the mean of all prices.
_KNOWS_PRICE: Final = STEPS


class Letter(NamedTuple):
    """A record for one partition of the budget topic."""

    partition: int
    record: OutputRecord


def treasurer_of(budget_id: str, partitions: int) -> int:
    """Returns the number of the partition that is a budget's treasurer."""
    return hash64(budget_id) % partitions


class Exchange:
    """The correspondence of one partition about its accounts."""

    def __init__(self, book: Book, interval: int = MINUTE) -> None:
        """`book` is the partition's. Where there is one partition, nothing is ever told.

        Reports are due at every full `interval` (milliseconds). With 0 none is: what others tell is taken in, since
        they have given it away, and what this one gave before is told again.
        """
        self._book = book
        self._interval = interval
        self._number = book.number
        self._partitions = book.partitions
        self._clock = NEVER
        self._due = NEVER
        #: Who is to be told about which account with the next commit, and how much is to come back.
        self._to_tell: dict[tuple[AccountKey, int], int] = {}
        self._outbox: list[Letter] = []

    # -- the clock -------------------------------------------------------------------------------------

    def tick(self, clock: int) -> None:
        """Makes reports and answers due at every full interval; `clock` is the partition's (milliseconds)."""
        if not self._interval or self._partitions == 1 or clock == NEVER or clock < self._due:
            return
        self._clock, self._due = clock, (clock // self._interval + 1) * self._interval
        for budget, span, key, account in self._book.at(clock):
            treasurer = treasurer_of(budget.id, self._partitions)
            if treasurer == self._number:
                self._lead(budget, span, key, account)
            else:
                self._to_tell[key, treasurer] = 0

    def restore(self) -> None:
        """Makes due again what tells of all that was given, once the book is restored: it may be unwritten."""
        for key, account in self._book.accounts.items():
            self._to_tell.update({(key, other): 0 for other in account.lease.given})

    @property
    def has_to_tell(self) -> bool:
        """Says whether messages wait for a checkpoint to be durable."""
        return bool(self._to_tell)

    # -- the treasurer ---------------------------------------------------------------------------------

    def _lead(self, budget: Budget, span: Span, key: AccountKey, account: Account) -> None:
        lease, limit = account.lease, budget.limit_of(key.arm)
        heard = {number: one for number, one in lease.reports.items() if one.at + self._book.patience > self._clock}
        standings = {number: self._standing(account, report) for number, report in lease.reports.items()}
        standings[self._number] = Standing(account.taken, self._book.left(key), lease.want)
        lease.want = 0
        if not heard:
            return
        taken = sum(one.taken for one in standings.values())
        reached = {number: standings[number] for number in (*heard, self._number)}
        # What those have who cannot be reached is theirs, and nobody else can be made to spend it.
        out_of_reach = sum(max(one.left, 0) for number, one in standings.items() if number not in reached)
        out_of_reach += sum(
            share_of(limit, number, self._partitions) + lease.given.get(number, 0) - lease.received.get(number, 0)
            for number in range(self._partitions)
            if number not in standings
        )
        progress = self._book.progress(budget, span, self._clock)
        self._price(account, list(heard.values()), progress, taken, limit - out_of_reach)
        self._move(key, account, reached, limit)

    def _standing(self, account: Account, report: Report) -> Standing:
        on_its_way = account.lease.given.get(report.sender, 0) - report.received
        return Standing(report.taken, report.left + on_its_way, report.want)

    def _price(self, account: Account, heard: list[Report], progress: float, taken: int, whole: int) -> None:
        pace = account.pace
        if account.lease.told_at == NEVER and pace.steps < _KNOWS_PRICE:
            prices = [pace.price, *(one.price for one in heard)]
            pace.price = sum(prices) / len(prices)
            pace.usual = pace.price
            pace.progress, pace.counted = progress, taken
        else:
            pace.observe(progress, taken, whole, _CLOSING)
        account.lease.told_at = self._clock

    def _move(self, key: AccountKey, account: Account, reached: dict[int, Standing], limit: int) -> None:
        found: Moves = moves(reached, self._number, limit)
        for number, amount in found.gives.items():
            account.lease.give(number, amount)
        for number in reached:
            if number != self._number:
                self._to_tell[key, number] = found.calls.get(number, 0)

    # -- messages --------------------------------------------------------------------------------------

    def take(self, message: Message) -> None:
        """Takes in what another partition tells; of a period that is long over, nothing.

        Raises:
            DeadLetter: there is no such partition.
        """
        if message.sender >= self._partitions:
            raise DeadLetter("budget", f"the message is from partition {message.sender} of {self._partitions}")
        account = self._book.open(message.key, message.end)
        if account is None:
            return
        lease = account.lease
        lease.hear(message.sender, message.given, message.received)
        if isinstance(message, Report):
            known = lease.reports.get(message.sender)
            if known is None or message.at >= known.at:
                lease.reports[message.sender] = message
        elif message.at > lease.told_at:
            self._follow(message, account)

    def _follow(self, answer: Answer, account: Account) -> None:
        lease, pace = account.lease, account.pace
        lease.told_at = answer.at
        pace.price, pace.usual, pace.steps = answer.price, answer.usual, answer.steps
        self._book.rebase(answer.key, account, answer.at)
        back = min(answer.call, self._book.left(answer.key)) if self._interval else 0
        if back > 0:
            lease.give(answer.sender, back)
            self._to_tell[answer.key, answer.sender] = 0

    def checkpoint(self) -> None:
        """Makes the messages that are due, of what becomes durable with the book's checkpoint.

        It goes before the book's.
        """
        for key, other in sorted(self._to_tell, key=lambda one: (*one[0][:2], one[0].arm or "", one[1])):
            call = self._to_tell[key, other]
            account = self._book.accounts.get(key)
            if account is not None:
                message = self._message(key, account, other, call)
                self._outbox.append(Letter(other, OutputRecord(message_key(message), encode_message(message))))
        self._to_tell = {}

    def durable(self) -> list[Letter]:
        """Returns what may be written now that the last checkpoint is durable."""
        ready, self._outbox = self._outbox, []
        return ready

    def _message(self, key: AccountKey, account: Account, other: int, call: int) -> Message:
        lease, pace = account.lease, account.pace
        about: dict[str, Any] = {
            **key._asdict(),
            "sender": self._number,
            "receiver": other,
            "end": account.end,
            "at": max(self._clock, 0),
            "given": lease.given.get(other, 0),
            "received": lease.received.get(other, 0),
            "price": pace.price,
        }
        if treasurer_of(key.budget, self._partitions) == self._number:
            return Answer(**about, usual=pace.usual, steps=pace.steps, call=call)
        want, lease.want = lease.want, 0
        return Report(**about, taken=account.taken, left=self._book.left(key), want=want)
