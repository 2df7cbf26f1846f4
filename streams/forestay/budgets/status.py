"""What is left of the budgets: the accounts of all partitions, as their last commits tell them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from aiokafka import TopicPartition

from forestay.core.budget.account import AccountKey, Reservation
from forestay.core.budget.book import Book
from forestay.core.budget.budget import Budget
from forestay.core.budget.records import RESERVATION_PREFIX, decode_reservation
from forestay.core.state.seal import unsealed
from forestay.core.state.state_codec import MARK_KEY, decode_mark, is_reservation
from forestay.settings import KafkaSettings, TopicSettings
from forestay.shell.log_reading import log_consumer, read_to_ends, told_as_recovery

#: By partition, the newest value under each key of the changelog that is not a user's.
Kept = Mapping[int, Mapping[bytes, bytes | None]]


class Standing(NamedTuple):
    """One account over all partitions, in hundredths or points; `dry` is how many partitions have no unit left."""

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
    accounts = [(book.accounts[key], book.share(key)) for book in books]
    limit = budget.limit_of(key.arm)
    spent, reserved = sum(one.spent for one, _ in accounts), sum(one.reserved for one, _ in accounts)
    prices = [one.pace.price for one, _ in accounts]
    dry = sum(one.taken >= share for one, share in accounts)
    amounts = (limit, spent, reserved, limit - spent - reserved)
    return Standing(key.budget, budget.unit, key.period, key.arm, *amounts, min(prices), max(prices), dry)
