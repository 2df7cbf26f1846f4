"""What a partition keeps of its leases: totals given and received, and what its treasurers have heard."""

import msgspec

from forestay.core.budget.account_key import AccountKey
from forestay.core.budget.exchange_record import Report
from forestay.core.budget.lease import Lease


class LeaseRecord(msgspec.Struct, array_like=True, frozen=True):
    """The lease of one account; `given` and `received` are pairs of another partition's number and units ever.

    It is in the partition's mark, beside the position up to which messages were taken in.
    """

    budget: str
    period: str
    arm: str | None
    given: tuple[tuple[int, int], ...]
    received: tuple[tuple[int, int], ...]
    told_at: int
    want: int
    reports: tuple[Report, ...]


def lease_record(key: AccountKey, lease: Lease) -> LeaseRecord:
    """Returns a lease as it is kept."""
    given, received = tuple(sorted(lease.given.items())), tuple(sorted(lease.received.items()))
    reports = tuple(lease.reports[number] for number in sorted(lease.reports))
    return LeaseRecord(*key, given, received, lease.told_at, lease.want, reports)


def lease_of(record: LeaseRecord) -> Lease:
    """Returns the lease that was kept."""
    lease = Lease()
    lease.given, lease.received = dict(record.given), dict(record.received)
    lease.moved = sum(lease.received.values()) - sum(lease.given.values())
    lease.told_at, lease.want = record.told_at, record.want
    lease.reports = {report.sender: report for report in record.reports}
    return lease
