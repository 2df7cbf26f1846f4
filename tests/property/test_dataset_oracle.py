"""Who is asked about, labels, spends, censoring, splits: those of brute force over the events, ids linked or not."""

import json
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.builders import START, Click, click
from support.training_sets import Key, rows_of

from forestay.core.feature_set import FEATURE_NAMES
from forestay.core.units import DAY, HOUR
from forestay.dataset.plan import Label, Plan, Split

#: Of three partitions, the first and third are in one, the others in another.
USERS = ["anna", "bert", "cookie", "device"]
Outcomes = tuple[float | None, ...]


def events() -> st.SearchStrategy[list[Click]]:
    """Events of a fortnight on a grid of days, so that they meet cutoffs, bounds and each other."""
    one = st.builds(
        lambda number, user, kind, day, price, other: click(
            f"e{number}", user, kind, START + day * DAY, price=price, anonymous_id=other
        ),
        st.integers(0, 12),
        st.sampled_from(USERS),
        st.sampled_from(["purchase", "purchase", "view_item", "refund"]),
        st.integers(0, 14),
        # Three times 0.1 is 0.3 to the cent alone.
        st.sampled_from([0, 0.1, 1, 2, 10]),
        st.sampled_from([None, None, *USERS]),
    )
    return st.lists(one, min_size=1, max_size=20)


def plans() -> st.SearchStrategy[Plan]:
    bounds = st.one_of(
        st.just((None, None)),
        st.integers(1, 14).map(lambda day: (None, day)),
        st.integers(1, 14).map(lambda day: (day, None)),
        st.tuples(st.integers(1, 6), st.integers(7, 14)),
    )
    days = st.lists(st.integers(0, 14), min_size=1, max_size=5, unique=True).map(sorted)
    horizons = st.lists(st.integers(1, 5), min_size=1, max_size=2, unique=True).map(sorted)
    return st.builds(
        lambda cutoffs, spans, observed, label, share, bound, partitions, merged: Plan(
            tuple(START + day * DAY for day in cutoffs),
            tuple(span * DAY for span in spans),
            observed * DAY,
            label,
            share,
            None if bound[0] is None else START + bound[0] * DAY,
            None if bound[1] is None else START + bound[1] * DAY,
            partitions,
            merge_identities=merged,
        ),
        days,
        horizons,
        st.integers(1, 5),
        st.sampled_from(Label),
        st.sampled_from([0.25, 0.5, 1.0]),
        bounds,
        st.sampled_from([1, 3]),
        st.booleans(),
    )


# -- brute force: every question looks through all events --------------------------------------------------


def owner_at(clicks: Iterable[Click], user: str, at: int, plan: Plan) -> str:
    """Whose `user` is by what was said up to `at`: what was said first holds, and who has ids is nobody's."""
    whose: dict[str, str] = {}
    having: set[str] = set()
    said: list[tuple[int, str, str]] = [
        (one["ts"], one["user_id"], one["anonymous_id"]) for one in clicks if one["anonymous_id"] is not None
    ]
    for ts, speaker, other in sorted(said):
        if not plan.merge_identities or ts > at or speaker == other:
            continue
        having.add(whose.get(speaker, speaker))
        if other not in having:
            whose.setdefault(other, whose.get(speaker, speaker))
    return whose.get(user, user)


def once(clicks: list[Click]) -> list[Click]:
    """Each event id of a user once, the earliest; of two at one moment that of the smaller text."""
    found: dict[tuple[str, str], Click] = {}
    for one in sorted(clicks, key=lambda one: (one["ts"], text(one))):
        found.setdefault((one["user_id"], one["event_id"]), one)
    return list(found.values())


def text(one: Click) -> bytes:
    return json.dumps(one, separators=(",", ":")).encode()


def wanted(clicks: list[Click], plan: Plan, known_until: int) -> dict[Key, tuple[Split, Outcomes, Outcomes, int]]:
    """Returns of each row its split, labels, spends, and how many events count by then."""
    counted = once(clicks)
    rows = {}
    for cutoff in plan.cutoffs:
        for user in USERS:
            mine = [
                one
                for one in counted
                if one["ts"] <= cutoff and owner_at(clicks, one["user_id"], cutoff, plan) == user
            ]
            if any(counts(one, plan) and one["ts"] >= cutoff - plan.observed for one in mine):
                labels, spends = (
                    tuple(
                        ask(clicks, plan, user, cutoff, span) if cutoff + span <= known_until else None
                        for span in plan.horizons
                    )
                    for ask in (label, spend)
                )
                rows[Key(user, cutoff)] = split(plan, cutoff), labels, spends, len(mine)
    return rows


def counts(one: Click, plan: Plan) -> bool:
    return plan.label is Label.NO_EVENT or one["event"] == "purchase"


def window(clicks: list[Click], plan: Plan, user: str, cutoff: int, span: int) -> list[Click]:
    """What the person did after the cutoff and before its end, by what was said until then of who they are."""
    end = cutoff + span
    person = owner_at(clicks, user, end - 1, plan)
    return [
        one
        for one in once(clicks)
        if cutoff < one["ts"] < end and owner_at(clicks, one["user_id"], end - 1, plan) == person
    ]


def cents(bought: Iterable[Click]) -> int:
    return sum(int(Decimal(str(one["price"])) * 100) for one in bought if one["event"] == "purchase")


def spend(clicks: list[Click], plan: Plan, user: str, cutoff: int, span: int) -> float:
    return cents(window(clicks, plan, user, cutoff, span)) / 100


def label(clicks: list[Click], plan: Plan, user: str, cutoff: int, span: int) -> float:
    after = window(clicks, plan, user, cutoff, span)
    if plan.label is not Label.LESS_SPEND:
        return 0.0 if any(counts(one, plan) for one in after) else 1.0
    before = [
        one
        for one in once(clicks)
        if cutoff - plan.observed <= one["ts"] <= cutoff and owner_at(clicks, one["user_id"], cutoff, plan) == user
    ]
    usual = Fraction(cents(before), plan.observed)
    return float(Fraction(cents(after), span) < Fraction(plan.spend_share) * usual)


def split(plan: Plan, cutoff: int) -> Split:
    """The names of the bounds around the cutoff, and whether the next one is met by the longest label."""
    starts = [(START - 999 * DAY, Split.TRAIN)]
    starts += [(at, Split.VALIDATION) for at in [plan.validate_from] if at is not None]
    starts += [(at, Split.TEST) for at in [plan.test_from] if at is not None]
    mine = max((at, name) for at, name in starts if at <= cutoff)
    following = [at for at, _ in starts if at > cutoff]
    return Split.GAP if following and cutoff + max(plan.horizons) > min(following) else mine[1]


def of(days: int, **more: Any) -> Plan:
    return Plan((START + 2 * DAY,), (days * DAY,), 5 * DAY, **more)


BOUGHT = click("e1", "bert", "purchase", START, price=10, anonymous_id=None)

BACK = click("e8", "anna", "purchase", START + 3 * DAY, price=10, anonymous_id=None)
LINK = click("e9", "anna", "view_item", START + 2 * DAY, anonymous_id="device")


@settings(max_examples=200, deadline=None)
@given(events(), plans(), st.one_of(st.none(), st.integers(14, 40)))
# Orders at the cutoff, at both ends of the window; the data's end at the window's.
@example([BOUGHT, BOUGHT | {"event_id": "e2", "ts": START + 4 * DAY}], of(2), None)
@example([BOUGHT, BOUGHT | {"event_id": "e2", "ts": START + 2 * DAY}], of(2), 8)
@example([BOUGHT, BOUGHT | {"event_id": "e2", "ts": START + 4 * DAY - 1}], of(2), 7)
# Free of charge; given back; three times 0.1; looked at, where any event counts.
@example([BOUGHT, BOUGHT | {"event_id": "e2", "ts": START + 3 * DAY, "price": 0}], of(2), 60)
@example(
    [BOUGHT, BACK | {"user_id": "bert"}, BACK | {"user_id": "bert", "event_id": "e7", "event": "refund"}], of(2), 60
)
@example([BOUGHT, *(BACK | {"user_id": "bert", "event_id": f"e{n}", "price": 0.1} for n in range(2, 5))], of(2), 60)
@example([BOUGHT, BACK | {"user_id": "bert", "event": "view_item"}], of(2, label=Label.NO_EVENT), 60)
# One event id twice; the order before is as old as it may be.
@example([BOUGHT, BOUGHT | {"ts": START + 3 * DAY}], of(2), 60)
@example([BOUGHT], Plan((START + 5 * DAY,), (DAY,), 5 * DAY, Label.LESS_SPEND), 60)
# A link at the cutoff, and one at the end of the window; the other id is in another partition.
@example([BOUGHT, BOUGHT | {"user_id": "device"}, LINK], of(2, partitions=3), 60)
@example([BOUGHT | {"user_id": "device"}, BACK, LINK | {"ts": START + 4 * DAY}], of(2, partitions=3), 60)
@example([BOUGHT | {"user_id": "device"}, BACK, LINK | {"ts": START + 4 * DAY - 1}], of(2, partitions=3), 60)
# Half the usual spend to the cent.
@example([BOUGHT, BOUGHT | {"event_id": "e2", "ts": START + 3 * DAY, "price": 2}], of(2, label=Label.LESS_SPEND), 60)
def test_rows_are_those_of_brute_force(clicks: list[Click], plan: Plan, half_days: int | None) -> None:
    known_until = None if half_days is None else START + half_days * 12 * HOUR
    known = [one for one in clicks if known_until is None or one["ts"] <= known_until]
    end = known_until or max(one["ts"] for one in known)
    rows = rows_of(clicks, plan, known_until)
    total = FEATURE_NAMES.index("events_total")
    found = {key: (row.split, row.labels, row.spends, int(row.input.features[total])) for key, row in rows.items()}
    assert found == wanted(known, plan, end)
