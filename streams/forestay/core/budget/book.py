"""One partition's books over its shares of the budgets: nothing is promised that is not there.

An action's cost is reserved before the action is written; feedback makes it spent, or gives it back, and so does
time: a coupon that has expired costs nothing. Which is known once feedback is known up to then, not before: where
nobody tells of feedback, nothing comes back. Decisions are the write-ahead log: those beyond the durable state have
taken what they say (`book`), whether or not it was there.

A commit is many records, and its mark is the last; a crash may leave some of them without it. So accounts are in the
mark itself, and the record of a reservation that is over says by which commit, until the next one deletes it:
`restore` opens again what the mark does not know to be closed. What it does not know to be open is open too: the log
of decisions says the same.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from forestay.core.budget.account import NONE, Account, Draw, Reservation
from forestay.core.budget.account_key import AccountKey
from forestay.core.budget.budget import WHOLE_CAMPAIGN, Budget, Span
from forestay.core.budget.lease import share_of
from forestay.core.budget.lease_record import lease_of, lease_record
from forestay.core.budget.pacing import LEAST_PRICE, PATIENCE, Pace, Plan
from forestay.core.budget.records import BudgetsMark, account_of, account_record
from forestay.core.event import NEVER
from forestay.core.units import DAY, MINUTE

#: What an action has reserved is held for so long after the action has expired: feedback may come late.
GRACE: Final = 3 * DAY
#: After a day is over nothing more is drawn from its account, however late a decision about it is made.
STAYS_OPEN: Final = 2 * DAY
#: Stands for a reservation whose record is to be deleted.
_GONE: Final = None
_NO_ARMS: Final = (None,)


class Book:
    """Accounts and open reservations of one partition."""

    def __init__(self, budgets: Sequence[Budget], number: int, partitions: int, interval: int = MINUTE) -> None:
        """Starts empty; the partition is `number` of `partitions`, which tell each other every `interval` (ms)."""
        #: How long a price that was told is followed.
        self.patience = PATIENCE * interval
        self._budgets = {budget.id: budget for budget in budgets}
        self._plans = {budget.id: Plan(budget.hours) for budget in budgets}
        self._spans: dict[str, Span] = {}
        self.number = number
        self.partitions = partitions
        self._accounts: dict[AccountKey, Account] = {}
        self._open: dict[str, Reservation] = {}
        #: When which action's reservation is over, earliest first.
        self._ends: list[tuple[int, str]] = []
        #: What the next commit writes, by action.
        self._changed: dict[str, Reservation | None] = {}
        #: Closed, with a record that says so: the commit after deletes it.
        self._closed: set[str] = set()
        #: Actions booked or closed since the last commit.
        self._known: set[str] = set()
        self._commit = 0
        self._latest = NEVER
        #: What the last checkpoint gave, None without budgets. One that has nothing to write gives the same again.
        self.mark: BudgetsMark | None = None

    def adopt(self, budgets: Sequence[Budget]) -> None:
        """Draws on other budgets, or by other limits, from now on; accounts and what is reserved stay."""
        self._budgets = {budget.id: budget for budget in budgets}
        self._plans = {budget.id: Plan(budget.hours) for budget in budgets}
        self._spans = {}

    @property
    def accounts(self) -> Mapping[AccountKey, Account]:
        """Returns the accounts there are."""
        return self._accounts

    @property
    def reservations(self) -> Mapping[str, Reservation]:
        """Returns what is reserved, by action."""
        return self._open

    # -- what there is -------------------------------------------------------------------------------

    def observe(self, moment: int) -> None:
        """Moves the prices to the `moment` (milliseconds) of a decision; for each, before it is booked."""
        self._latest = max(self._latest, moment)
        for budget, span, key, account in self.at(moment):
            if self.partitions == 1 or account.lease.told_at + self.patience <= moment:
                account.pace.observe(self.progress(budget, span, moment), account.taken, self.allowance(key))

    def at(self, moment: int) -> list[tuple[Budget, Span, AccountKey, Account]]:
        """Returns what is open at a `moment` (milliseconds), by arm."""
        found = []
        for budget in self._budgets.values():
            span = self._span(budget, moment)
            if span is None or self._is_over(span.end):
                continue
            for arm in budget.arms or _NO_ARMS:
                key = AccountKey(budget.id, span.name, arm)
                found.append((budget, span, key, self._account(key, span.end)))
        return found

    def progress(self, budget: Budget, span: Span, moment: int) -> float:
        """Returns the share of a budget, 0 to 1, that is to be spent by `moment` (milliseconds) of its period."""
        return self._plans[budget.id].progress(span, moment)

    def open(self, key: AccountKey, end: int) -> Account | None:
        """Returns an account, begun if need be; None if nothing can be drawn from it any more."""
        return None if self._is_over(end) else self._account(key, end)

    def rebase(self, key: AccountKey, account: Account, moment: int) -> None:
        """Lets the account's own pace go on from `moment` (milliseconds), should it be left to itself."""
        budget = self._budgets.get(key.budget)
        span = None if budget is None else self._span(budget, moment)
        if budget is not None and span is not None and span.name == key.period:
            account.pace.progress = self.progress(budget, span, moment)
            account.pace.counted = account.taken

    def draw(self, budget_id: str, amount: int, moment: int, arm: str | None = None) -> Draw | None:
        """Returns what an action decided on at `moment` (milliseconds) would take; None if it is not there."""
        found = self._key(budget_id, moment, arm)
        if found is None:
            return None
        key, span = found
        if self._taken(key) + amount > self.allowance(key):
            if self.partitions > 1:
                lease = self._account(key, span.end).lease
                lease.want = max(lease.want, amount)
            return None
        return Draw(key, amount, span.end)

    def price(self, budget_id: str, moment: int, arm: str | None = None) -> float:
        """Returns what a unit is worth, in units: 1, or more where the budget would not last."""
        found = self._key(budget_id, moment, arm)
        account = None if found is None else self._accounts.get(found[0])
        return LEAST_PRICE if account is None else account.pace.price

    def share(self, key: AccountKey) -> int:
        """Returns how much of an account's budget is this partition's."""
        budget = self._budgets.get(key.budget)
        return 0 if budget is None else share_of(budget.limit_of(key.arm), self.number, self.partitions)

    def allowance(self, key: AccountKey) -> int:
        """Returns how much of an account's budget this partition may take: its share, and what has moved."""
        account = self._accounts.get(key)
        return self.share(key) + (0 if account is None else account.lease.moved)

    def left(self, key: AccountKey) -> int:
        """Returns what may still be taken of an account; below 0 where its limit was lowered."""
        return self.allowance(key) - self._taken(key)

    def _key(self, budget_id: str, moment: int, arm: str | None) -> tuple[AccountKey, Span] | None:
        budget = self._budgets[budget_id]
        span = self._span(budget, moment)
        if span is None or self._is_over(span.end):
            return None
        return AccountKey(budget_id, span.name, arm if budget.arms else None), span

    def _span(self, budget: Budget, moment: int) -> Span | None:
        """Returns the period that `moment` lies in; most are asked for many times in a row."""
        last = self._spans.get(budget.id)
        if last is not None and last.begin <= moment < last.end:
            return last
        span = budget.span_at(moment)
        if span is not None:
            self._spans[budget.id] = span
        return span

    def _taken(self, key: AccountKey) -> int:
        account = self._accounts.get(key)
        return 0 if account is None else account.taken

    def _is_over(self, end: int) -> bool:
        return end + STAYS_OPEN <= self._latest

    def _account(self, key: AccountKey, end: int) -> Account:
        """Returns an account; a new one begins at the usual price of the newest there is of its budget."""
        account = self._accounts.get(key)
        if account is None:
            of_it = [one for each, one in self._accounts.items() if (each.budget, each.arm) == (key.budget, key.arm)]
            newest = max(of_it, default=None, key=lambda one: one.end)
            pace = Pace() if newest is None else Pace(newest.pace.usual, newest.pace.steps)
            account = self._accounts[key] = Account(end, pace)
        return account

    # -- what is taken -------------------------------------------------------------------------------

    def book(self, action_id: str, draws: Sequence[Draw], until: int | None, *, lapses: bool = True) -> None:
        """Books an action that was decided on, once: spent at once, or reserved until `until` (milliseconds).

        What is reserved comes back then if it `lapses`, else it is spent.
        Whether it is there was for `draw` to say, before the action was decided on.
        """
        if action_id in self._open or action_id in self._known:
            return
        self._known.add(action_id)
        taking = tuple(draw for draw in draws if draw.amount)
        for draw in taking:
            account = self._account(draw.key, draw.end)
            if until is None:
                account.spent += draw.amount
            else:
                account.reserved += draw.amount
        if until is not None and taking:
            self._open[action_id] = self._changed[action_id] = Reservation(taking, until, lapses)
            heapq.heappush(self._ends, (until, action_id))

    def confirm(self, action_id: str) -> bool:
        """Makes what an action has reserved spent; False: nothing is reserved for it (any more)."""
        return self._close(action_id, is_spent=True)

    def release(self, action_id: str) -> bool:
        """Gives back what an action has reserved; False: nothing is reserved for it (any more)."""
        return self._close(action_id, is_spent=False)

    def expire(self, told: int) -> None:
        """Ends what is reserved for actions that expired before `told` (milliseconds) less `GRACE`.

        All feedback up to `told` has been taken in.
        """
        while self._ends and self._ends[0][0] + GRACE <= told:
            _, action_id = heapq.heappop(self._ends)
            reservation = self._open.get(action_id)
            self._close(action_id, is_spent=reservation is not None and not reservation.lapses)

    def _close(self, action_id: str, *, is_spent: bool) -> bool:
        reservation = self._open.pop(action_id, None)
        if reservation is None:
            return False
        for draw in reservation.draws:
            account = self._accounts[draw.key]
            account.reserved -= draw.amount
            if is_spent:
                account.spent += draw.amount
            else:
                account.returned += draw.amount
        self._known.add(action_id)
        self._changed[action_id] = replace(reservation, closed=self._commit + 1)
        return True

    # -- what is durable -----------------------------------------------------------------------------

    def checkpoint(self) -> tuple[dict[str, Reservation | None], BudgetsMark | None]:
        """Returns what a commit writes: by action, records of reservations (None: deleted); and, last, the mark.

        The mark is None as long as there were no budgets.
        """
        if not self._budgets and not self._accounts and not self._commit:
            return {}, None
        for action_id in self._closed:
            self._changed.setdefault(action_id, _GONE)
        changed, self._changed = self._changed, {}
        self._closed = {name for name, one in changed.items() if one is not None and one.closed != NONE}
        self._known = set()
        for key in [key for key, account in self._accounts.items() if self._is_settled(key, account)]:
            del self._accounts[key]
        accounts = sorted(self._accounts.items(), key=lambda one: (one[0][:2], one[0].arm or ""))
        told = tuple(account_record(key, account) for key, account in accounts)
        leases = tuple(lease_record(key, account.lease) for key, account in accounts if account.lease.is_begun)
        mark = BudgetsMark(self._commit, self._latest, told, leases)
        if changed or self.mark is None or mark != replace(self.mark, commit=self._commit):
            self._commit += 1
            self.mark = replace(mark, commit=self._commit)
        return changed, self.mark

    def _is_settled(self, key: AccountKey, account: Account) -> bool:
        """Says whether nothing can happen to an account any more. A campaign's stays: it could be begun anew."""
        return key.period != WHOLE_CAMPAIGN and not account.reserved and self._is_over(account.end)

    def restore(self, reservations: Iterable[tuple[str, Reservation]], mark: BudgetsMark | None) -> None:
        """Takes over what was durable as of `mark`."""
        self.mark = mark
        self._commit = 0 if mark is None else mark.commit
        self._latest = NEVER if mark is None else mark.latest
        self._accounts = dict(map(account_of, mark.accounts)) if mark is not None else {}
        for action_id, reservation in reservations:
            found = reservation
            if NONE < found.closed <= self._commit:
                self._closed.add(action_id)
                continue
            if found.closed != NONE:
                # By a commit that did not end: what closed it is told again, and may come after the next commit.
                found = self._changed[action_id] = replace(found, closed=NONE)
            self._reopen(action_id, found)
        for record in mark.accounts if mark is not None else ():
            # A reservation whose record is gone cannot come back: it counts as spent.
            account = self._accounts[AccountKey(record.budget, record.period, record.arm)]
            account.spent += max(record.reserved - account.reserved, 0)
        for lease in mark.leases if mark is not None else ():
            self._accounts[AccountKey(lease.budget, lease.period, lease.arm)].lease = lease_of(lease)

    def _reopen(self, action_id: str, reservation: Reservation) -> None:
        self._open[action_id] = reservation
        heapq.heappush(self._ends, (reservation.until, action_id))
        for draw in reservation.draws:
            self._account(draw.key, draw.end).reserved += draw.amount
