"""A small made-up shop: customers who each keep to a pace of their own, and some of whom stop."""

import random

from support.builders import START, Click, click

from forestay.core.units import DAY


def shop(users: int) -> list[Click]:
    """Orders of half a year."""
    chance = random.Random(3)
    clicks: list[Click] = []
    for user in range(users):
        day, gap = chance.uniform(0, 60), chance.uniform(4, 40)
        while day < 180 and chance.random() > 0.04:
            at = START + round(day * DAY)
            clicks.append(click(f"e{len(clicks)}", f"u{user}", "purchase", at, price=chance.randint(1, 90)))
            day += chance.expovariate(1 / gap)
    return clicks
