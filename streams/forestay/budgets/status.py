"""What is left of the budgets: the accounts of all partitions, as their last commits tell them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from aiokafka import TopicPartition

from forestay.core.budget.account import Reservation
from forestay.core.budget.account_key import AccountKey
from forestay.core.budget.book import Book
from forestay.core.budget.budget import Budget
from forestay.core.budget.records import RESERVATION_PREFIX, decode_reservation
from forestay.core.state.seal import unsealed
from forestay.core.state.state_codec import MARK_KEY, decode_mark, is_reservation
from forestay.settings import KafkaSettings, TopicSettings
from forestay.shell.log_reading import log_consumer, read_to_ends, told_as_recovery

#: By partition, the newest value under each key of the changelog that is not a user's.
Kept = Mapping[int, Mapping[bytes, bytes | None]]


class Share(NamedTuple):
    """One partition's part of an account, in hundredths or points.

    What it may take is its `share` of the limit, and what it has `received` of others less what it has `given` them.
    """

    partition: int
    share: int
    received: int
    given: int
    spent: int
    reserved: int
    left: int
    price: float


class Standing(NamedTuple):
    """One account over all partitions, in hundredths or points; `dry` is how many partitions have no unit left.

    `returned` was reserved, and came back. Of what is `left`, units `on_the_way` have been given by one partition
    and not been taken in by another. `shares` are by partition.
    """

    budget: str
    unit: str
    period: str
    arm: str | None
    limit: int
    spent: int
    reserved: int
    left: int
    price_least: float
    price_most: float
    dry: int
    returned: int = 0
    on_the_way: int = 0
    shares: tuple[Share, ...] = ()


async def read_kept(kafka: KafkaSettings, topics: TopicSettings, partitions: int) -> Kept:
    """Reads the changelog to its end, and keeps marks and reservations.

    Raises:
        RecoveryError: the broker does not give the records.
        StateError: the broker's copy of a batch is damaged.
    """
    kept: dict[int, dict[bytes, bytes | None]] = {number: {} for number in range(partitions)}
    starts = {TopicPartition(topics.state, number): 0 for number in kept}
    with told_as_recovery():
        async with log_consumer(kafka) as consumer:
            async for number, records in read_to_ends(consumer, starts, kafka.request_timeout_seconds):
                for record in records:
                    if record.key == MARK_KEY or is_reservation(record.key or b""):
                        kept[number][record.key] = record.value
    return kept


def books_of(budgets: Sequence[Budget], kept: Kept) -> list[Book]:
    """Returns each partition's books as of its last mark.

    Raises:
        StateError: a record is damaged.
    """
    return [_book(budgets, number, len(kept), own) for number, own in sorted(kept.items())]


def _book(budgets: Sequence[Budget], number: int, partitions: int, own: Mapping[bytes, bytes | None]) -> Book:
    book = Book(budgets, number, partitions)
    marked = own.get(MARK_KEY)
    mark = None if marked is None else decode_mark(unsealed(MARK_KEY, marked)).budgets
    reservations: list[tuple[str, Reservation]] = [
        (key.decode().removeprefix(RESERVATION_PREFIX), decode_reservation(unsealed(key, value)))
        for key, value in own.items()
        if value is not None and key != MARK_KEY
    ]
    book.restore(reservations, mark)
    return book


def standings(budgets: Sequence[Budget], books: Sequence[Book]) -> list[Standing]:
    """Returns what became of each account, newest period first; of budgets that are not in the catalogue, nothing."""
    known = {budget.id: budget for budget in budgets}
    found: dict[AccountKey, list[Book]] = defaultdict(list)
    for book in books:
        for key in book.accounts:
            if key.budget in known:
                found[key].append(book)
    keys = sorted(found, key=lambda key: (key.budget, key.arm or ""))
    keys.sort(key=lambda key: key.period, reverse=True)
    return [_standing(key, known[key.budget], found[key]) for key in keys]


def _standing(key: AccountKey, budget: Budget, books: Sequence[Book]) -> Standing:
    shares = tuple(_share(key, book) for book in books)
    limit = budget.limit_of(key.arm)
    spent, reserved = sum(one.spent for one in shares), sum(one.reserved for one in shares)
    prices = [one.price for one in shares]
    return Standing(
        key.budget,
        budget.unit,
        key.period,
        key.arm,
        limit,
        spent,
        reserved,
        limit - spent - reserved,
        min(prices),
        max(prices),
        sum(one.left <= 0 for one in shares),
        sum(book.accounts[key].returned for book in books),
        sum(one.given - one.received for one in shares),
        shares,
    )


def _share(key: AccountKey, book: Book) -> Share:
    account, lease = book.accounts[key], book.accounts[key].lease
    received, given = sum(lease.received.values()), sum(lease.given.values())
    amounts = (book.share(key), received, given, account.spent, account.reserved, book.left(key))
    return Share(book.number, *amounts, account.pace.price)
