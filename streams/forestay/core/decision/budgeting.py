"""What an offer takes of budgets: what they do not cover is cut, the rest bears the price of what is scarce."""

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from forestay.core.budget.account import Draw
from forestay.core.budget.account_key import AccountKey
from forestay.core.budget.book import Book
from forestay.core.budget.budget import Budget, Unit
from forestay.core.decision.catalogue import Catalogue, Offer
from forestay.core.decision.policy import cost
from forestay.core.decision.situation import Situation, action_id_of
from forestay.core.units import HOUR, to_datetime, to_milliseconds, to_minor_units
from forestay_schemas.action_feedback import ActionFeedback, FeedbackKind
from forestay_schemas.decision import BudgetDraw, Decision, Suppressed
from forestay_schemas.types import ActionKind

#: The code under which an offer is cut that a budget does not cover.
EXHAUSTED: Final = "budget_exhausted"
#: What users may leave unused: it is held for them, and comes back. All else is spent once it is sent.
_MAY_EXPIRE: Final = {ActionKind.PROMOTION, ActionKind.LOYALTY}


class Bill(NamedTuple):
    """What an offer takes of its budgets, each with the price of a unit, and when its action would expire."""

    kind: ActionKind
    draws: tuple[tuple[Draw, float], ...]
    expires: int


class Affordable(NamedTuple):
    """Offers that their budgets cover, those that were cut, and by offer what it takes and what that is scarce by."""

    offers: list[Offer]
    suppressed: list[Suppressed]
    bills: dict[str | None, Bill]
    surcharges: dict[str, float]

    def draws(self, offer_id: str | None) -> tuple[BudgetDraw, ...]:
        """Returns what an offer takes, as it is told on its decision."""
        bill = self.bills.get(offer_id)
        if bill is None:
            return ()
        held_until = to_datetime(bill.expires) if bill.kind in _MAY_EXPIRE else None
        return tuple(
            BudgetDraw(
                budget=draw.key.budget,
                period=draw.key.period,
                arm=draw.key.arm,
                amount=draw.amount,
                price=price,
                ends=to_datetime(draw.end),
                held_until=held_until,
            )
            for draw, price in bill.draws
        )


def afford(
    offers: Sequence[Offer], situation: Situation, catalogue: Catalogue, book: Book, arms: Collection[str] = ()
) -> Affordable:
    """Returns what the partition's share of the budgets leaves of `offers`; changes nothing.

    `arms` are the user's: a budget may have limits of its own for some.
    """
    found = Affordable([], [], {}, {})
    if not any(offer.budgets for offer in offers):
        found.offers.extend(offers)
        return found
    now, basket = situation.now, situation.feature("average_basket")
    budgets = {budget.id: budget for budget in catalogue.budgets}
    for offer in offers:
        draws = [
            book.draw(name, _amount(offer, budgets[name], basket), now, _arm(budgets[name], arms))
            for name in offer.budgets
        ]
        covered = [(draw, book.price(draw.key.budget, now, draw.key.arm)) for draw in draws if draw is not None]
        if len(covered) < len(draws):
            found.suppressed.append(Suppressed(offer_id=offer.id, kind=offer.kind, code=EXHAUSTED))
            continue
        found.offers.append(offer)
        expires = now + round(offer.expires_after_hours * HOUR)
        found.bills[offer.id] = Bill(offer.kind, tuple(covered), expires)
        found.surcharges[offer.id] = sum(
            (price - 1) * draw.amount * budgets[draw.key.budget].worth for draw, price in covered
        )
    return found


def _arm(budget: Budget, arms: Collection[str]) -> str | None:
    return next((arm for arm in arms if arm in budget.arms), None)


def _amount(offer: Offer, budget: Budget, basket: float) -> int:
    return to_minor_units(cost(offer, basket)) if budget.unit is Unit.MONEY else offer.cost.points


def take(decision: Decision, book: Book) -> None:
    """Books what a decision takes, just made or found in the log; of an action that is booked already, nothing.

    What waited has taken it when it was chosen: its release spends it, leaves it held, or gives it back.
    """
    if decision.releases is not None:
        _take_released(decision, decision.releases, book)
    if decision.action_id is None or not decision.budgets:
        return
    draws = [
        Draw(AccountKey(each.budget, each.period, each.arm), each.amount, to_milliseconds(each.ends))
        for each in decision.budgets
    ]
    may_expire = decision.budgets[0].held_until
    # What would be spent at once is held while it waits, so that it can come back if it is dropped.
    until = may_expire or decision.held_until
    book.book(
        decision.action_id,
        draws,
        None if until is None else to_milliseconds(until),
        lapses=may_expire is not None,
    )


def _take_released(decision: Decision, chosen: str, book: Book) -> None:
    action_id = action_id_of(chosen)
    if decision.action_id is None:
        book.release(action_id)
    elif decision.held_until is None and decision.kind not in _MAY_EXPIRE:
        book.confirm(action_id)


def end_reservations(feedback: ActionFeedback, book: Book) -> None:
    """Takes in what became of an action: what it took is spent, or comes back; and what has expired by then ends."""
    if feedback.kind is FeedbackKind.REDEEMED:
        book.confirm(feedback.action_id)
    elif feedback.kind is FeedbackKind.FAILED:
        book.release(feedback.action_id)
    book.expire(to_milliseconds(feedback.ts))
