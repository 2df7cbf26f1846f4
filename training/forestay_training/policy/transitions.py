"""From one decision of a user to the next: the steps of a Markov decision process, out of decisions on record.

A step begins with a decision that had a choice and an outcome, and earns that outcome's reward: all that came within
the horizon. It leads to the user's first decision at or after the end of the horizon, so nothing that was earned is
counted twice. A user who has none within `follow_days` from there is taken to have left. Whether somebody has, only
those decisions tell that the log follows for so long: later ones are left out, whether there was a next one or not.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import numpy as np

from forestay.core.decision.catalogue import Catalogue
from forestay.core.errors import ForestayError
from forestay_training.offpolicy.log import Flags, Matrix, Vector
from forestay_training.offpolicy.own_log import OwnLog
from forestay_training.offpolicy.records import Decided, Records
from forestay_training.policy.fitting import signals_of

_WEEK: Final = timedelta(days=7)


class Transitions(NamedTuple):
    """N steps: signals (N, D), offer chosen (N,), reward (N,), and where they lead.

    `chosen` is the place of an offer among the catalogue's, -1 for doing nothing. `weeks` (N,) is how long the step
    took. Where the user `left` (N,), `following` (N, D), the signals of the next decision, and `permitted` (N, K),
    which of the catalogue's offers it could choose, are 0. `unfollowed` counts decisions too late to be followed,
    `gone` those of offers that the catalogue has not.
    """

    seen: Matrix
    chosen: Vector
    reward: Vector
    users: Sequence[str]
    weeks: Vector
    left: Flags
    following: Matrix
    permitted: Flags
    horizon_days: float
    unfollowed: int
    gone: int


def transitions(own: OwnLog, records: Records, catalogue: Catalogue, follow_days: float | None) -> Transitions:
    """Returns the steps of a log; `follow_days` is the horizon unless it is given.

    Raises:
        ForestayError: outcomes are of several horizons, no decision is followed, or a feature is not on the records.
    """
    horizon = _horizon(own, records)
    follow = horizon if follow_days is None else timedelta(days=follow_days)
    last = max(one.decided_at for one in records.decisions.values())
    place = {offer.id: number for number, offer in enumerate(catalogue.offers)}
    followed = [row for row, one in enumerate(own.decisions) if one.decided_at + horizon + follow <= last]
    rows = [row for row in followed if own.decisions[row].offer_id in {None, *place}]
    if not rows:
        raise ForestayError(
            f"no decision is followed by {(horizon + follow) / timedelta(days=1):g} days of log, its horizon and as"
            " long again: give more of the log, or a smaller --follow-days"
        )
    made = [own.decisions[row] for row in rows]
    after = _next_ones(made, records.decisions, horizon, follow)
    size = len(signals_of(made[0], catalogue))
    following, permitted = np.zeros((len(rows), size)), np.zeros((len(rows), len(place)), dtype=np.bool_)
    weeks = np.full(len(rows), horizon / _WEEK)
    for number, (one, then) in enumerate(zip(made, after, strict=True)):
        if then is not None:
            following[number] = signals_of(then, catalogue)
            weeks[number] = (then.decided_at - one.decided_at) / _WEEK
            permitted[number, [place[each.offer_id] for each in then.candidates if each.offer_id in place]] = True
    seen = np.array([signals_of(one, catalogue) for one in made])
    if not (np.isfinite(seen).all() and np.isfinite(following).all()):
        raise ForestayError("a feature that the policy reads is not on all records: they are of another version")
    return Transitions(
        seen=seen,
        chosen=np.array([-1 if one.offer_id is None else place[one.offer_id] for one in made]),
        reward=own.log.reward[rows],
        users=[one.user_id for one in made],
        weeks=weeks,
        left=np.array([then is None for then in after]),
        following=following,
        permitted=permitted,
        horizon_days=horizon / timedelta(days=1),
        unfollowed=len(own.decisions) - len(followed),
        gone=len(followed) - len(rows),
    )


def _horizon(own: OwnLog, records: Records) -> timedelta:
    found = sorted({records.outcomes[one.decision_id].horizon_days for one in own.decisions})
    if len(found) > 1:
        raise ForestayError(
            f"outcomes are of several horizons, {', '.join(f'{days:g}' for days in found)} days: give logs of one"
        )
    return timedelta(days=found[0])


def _next_ones(
    made: Sequence[Decided], decisions: Mapping[str, Decided], horizon: timedelta, follow: timedelta
) -> list[Decided | None]:
    """Returns the first decision on the same user from the end of the horizon, None where it comes too late."""
    of_user: defaultdict[str, list[tuple[datetime, str]]] = defaultdict(list)
    for one in decisions.values():
        of_user[one.user_id].append((one.decided_at, one.decision_id))
    for each in of_user.values():
        each.sort()
    found: list[Decided | None] = []
    for one in made:
        later, begin = of_user[one.user_id], one.decided_at + horizon
        number = bisect_left(later, (begin, ""))
        reached = number < len(later) and later[number][0] <= begin + follow
        found.append(decisions[later[number][1]] if reached else None)
    return found
