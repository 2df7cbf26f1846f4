"""Budgets as bytes: what a partition's mark says of its accounts, and the record of a reservation (docs/state.md)."""

from collections.abc import Mapping
from typing import Final

import msgspec

from forestay.core.budget.account import NONE, Account, Reservation
from forestay.core.budget.account_key import AccountKey
from forestay.core.budget.lease_record import LeaseRecord
from forestay.core.budget.pacing import Pace
from forestay.core.errors import StateError
from forestay.core.record import OutputRecord

#: The key of a reservation on the changelog is this and the action's id. No user id has control characters.
RESERVATION_PREFIX: Final[str] = "\x00budget/"
RESERVATION_VERSION: Final[bytes] = b"\x01"

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Reservation).decode


class AccountRecord(msgspec.Struct, array_like=True, frozen=True):
    """One account. `reserved` is the sum of its reservations: one that is lost is missed by it."""

    budget: str
    period: str
    arm: str | None
    end: int
    reserved: int
    spent: int
    price: float
    usual: float
    steps: int
    progress: float
    counted: int
    returned: int = 0


class BudgetsMark(msgspec.Struct, array_like=True, frozen=True):
    """A partition's accounts as of commit number `commit`; `latest` is the latest moment decided upon.

    `leases` are of those accounts of which units have moved, or of which partitions have told each other.
    """

    commit: int
    latest: int
    accounts: tuple[AccountRecord, ...]
    leases: tuple[LeaseRecord, ...] = ()


def account_record(key: AccountKey, account: Account) -> AccountRecord:
    """Returns an account as it is written."""
    pace = account.pace
    return AccountRecord(
        *key,
        account.end,
        account.reserved,
        account.spent,
        pace.price,
        pace.usual,
        pace.steps,
        pace.progress,
        pace.counted,
        account.returned,
    )


def account_of(record: AccountRecord) -> tuple[AccountKey, Account]:
    """Returns the account that was written, with nothing reserved yet."""
    pace = Pace(record.price, record.steps)
    pace.usual, pace.progress, pace.counted = record.usual, record.progress, record.counted
    account = Account(record.end, pace, record.spent)
    account.returned = record.returned
    return AccountKey(record.budget, record.period, record.arm), account


def encode_budgets(mark: BudgetsMark) -> bytes:
    """Returns a partition's accounts as bytes."""
    return bytes(_encode(mark))


def encode_reservation(reservation: Reservation) -> bytes:
    """Returns a reservation as a record."""
    return RESERVATION_VERSION + bytes(_encode(reservation))


def reservation_records(changed: Mapping[str, Reservation | None]) -> list[OutputRecord]:
    """Returns what a commit writes on the changelog of reservations, by action; None deletes one."""
    return [
        OutputRecord((RESERVATION_PREFIX + action_id).encode(), None if one is None else encode_reservation(one))
        for action_id, one in sorted(changed.items())
    ]


def taken_reservations(kept: dict[str, bytes]) -> list[tuple[str, Reservation]]:
    """Takes the reservations out of what a changelog keeps, and returns them by action.

    Raises:
        StateError: another version, or damaged bytes.
    """
    names = [name for name in kept if name.startswith(RESERVATION_PREFIX)]
    return [(name.removeprefix(RESERVATION_PREFIX), decode_reservation(kept.pop(name))) for name in names]


def decode_reservation(record: bytes) -> Reservation:
    """Returns the reservation in a record.

    Raises:
        StateError: another version, or damaged bytes.
    """
    if record[:1] != RESERVATION_VERSION:
        raise StateError(f"a reservation has version {record[:1].hex() or 'none'}, this code reads 01")
    try:
        reservation = _decode(record[1:])
    except msgspec.DecodeError as error:
        raise StateError(f"a reservation cannot be read: {error}") from error
    if any(draw.amount <= 0 for draw in reservation.draws) or reservation.closed < NONE:
        raise StateError("a reservation holds numbers that none has")
    return reservation
