"""Made-up campaigns whose effects are known."""

from pathlib import Path

import numpy as np

HEADER = "person,group,bought,spent,age,city\n"


def write_campaign(path: Path, people: int, *, moved: float = 0.3, chance: bool = True, seed: int = 1) -> Path:
    """Writes a campaign: `mail` moves those above 50 by `moved` and no one else; the older buy less untreated.

    `call` does nothing. A sale is worth 10. Without `chance` the older get the mail three times as often.
    """
    generator = np.random.default_rng(seed)
    age = generator.integers(18, 83, size=people)
    city = generator.choice(["Bern", "Graz", ""], size=people)
    old = age > 50
    weights = np.where(old, 3.0, 1.0)[:, None] * [0, 1, 0] + [1, 0, 1] if not chance else np.ones((people, 3))
    drawn = (generator.random(people)[:, None] > np.cumsum(weights / weights.sum(axis=1)[:, None], axis=1)).sum(
        axis=1
    )
    group = np.array(["none", "mail", "call"])[drawn]
    bought = generator.random(people) < np.where(old, 0.1, 0.3) + moved * (old & (group == "mail"))
    rows = zip(range(people), group, bought.astype(int), bought * 10, age, city, strict=True)
    path.write_text(HEADER + "".join(",".join(map(str, row)) + "\n" for row in rows))
    return path
