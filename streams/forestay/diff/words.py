"""How a comparison is told: offers, money, shares and changes as people read them."""

from typing import Final

_DIVISIONS: Final = {
    "risk": "churn probability",
    "orders": "orders so far",
    "trigger": "what caused it",
    "rung": "rung of the ladder",
}


def offer_name(offer_id: str | None) -> str:
    """Returns an offer's name; None is nothing done."""
    return offer_id or "nothing"


def division_name(division: str) -> str:
    """Returns what a division of decisions is about."""
    return _DIVISIONS[division]


def money(amount: float) -> str:
    """Returns an amount with two digits."""
    return f"{amount:,.2f}"


def share(part: float) -> str:
    """Returns a share in percent."""
    return f"{part:.1%}"


def signed(number: float) -> str:
    """Returns a whole change with its sign, 0 without one."""
    return f"{number:+,}" if number else "0"


def spend_told(change: float | None) -> str:
    """Returns a change of spend in words."""
    return "from nothing" if change is None else f"{change:+.1%}"
