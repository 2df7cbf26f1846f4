"""Over any stream with nights and words of consent: nobody is met when it is quiet or forbidden."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from support.builders import MODEL, START, answered, catalogue, click, offer, partition, restored, source, tick

from forestay.core.decision.catalogue import Catalogue
from forestay.core.decision.local_time import local, zone_of
from forestay.core.decision.quiet_hours import is_quiet
from forestay.core.partition import Partition
from forestay.core.record import OutputRecord, SourceRecord
from forestay.core.rules import Rules
from forestay.core.units import DAY, HOUR, MINUTE
from forestay_schemas import Decision, RetentionAction

RULES = Rules(score_interval=0)
ZONES = ["Europe/Berlin", "America/New_York", "Asia/Tokyo", "Nowhere/None", None]
OFFERS = [
    offer("mail", channel="email", effect=0.5),
    offer("text", channel="sms", effect=0.4, expires_after_hours=5),
    offer("points", channel="push", kind="loyalty", effect=0.3, eligibility={"triggers": ["silence", "event"]}),
]


class Told(NamedTuple):
    """A tick, a purchase or a word of consent, some time after the one before."""

    gap: int
    what: str
    user: int
    zone: str | None
    channel: str | None
    late: int


STREAMS = st.lists(
    st.builds(
        Told,
        st.sampled_from([MINUTE, HOUR, 3 * HOUR, 5 * HOUR, 9 * HOUR, DAY, 20 * DAY]),
        st.sampled_from(["tick", "buy", "buy", "buy", "consent_granted", "consent_withdrawn"]),
        st.integers(1, 2),
        st.sampled_from(ZONES),
        st.sampled_from(["email", "sms", "push", None]),
        st.sampled_from([0, 0, HOUR, 10 * DAY]),
    ),
    min_size=1,
    max_size=25,
)
SHOPS = st.fixed_dictionaries(
    {
        "quiet_hours": st.fixed_dictionaries(
            {
                "from": st.sampled_from(["21:00", "00:00", "13:00"]),
                "until": st.sampled_from(["08:00", "07:30"]),
                "then": st.sampled_from(["hold", "hold", "drop"]),
            },
            optional={"days": st.sampled_from([["sat", "sun"], ["mon", "tue", "wed"]])},
        ),
        "consent": st.fixed_dictionaries(
            {
                "required": st.lists(st.sampled_from(["email", "sms"]), unique=True),
                "default": st.sampled_from(["granted", "denied"]),
            }
        ),
        "caps": st.sampled_from([[], [{"max": 1, "days": 2}], [{"max": 1, "days": 9, "channel": "email"}]]),
    }
)


def records(stream: Iterable[Told]) -> list[SourceRecord]:
    """Returns the records of both topics in order of arrival."""
    now, clicks, ticks, found = START, 0, 0, list[SourceRecord]()
    for number, one in enumerate(stream):
        now += one.gap
        if one.what == "tick":
            found.append(tick(now, ticks))
            ticks += 1
            continue
        name, more = ("purchase", dict[str, Any](price=100, order_id=f"b{number}"))
        if one.what != "buy":
            name, more = one.what, {"channel": one.channel}
        event = click(f"e{number}", f"u{one.user}", name, now - one.late, timezone=one.zone, **more)
        found.append(source(event, clicks, timestamp=now))
        clicks += 1
    return found


class Made(NamedTuple):
    """All that was decided and sent, in order."""

    decisions: list[Decision]
    actions: list[RetentionAction]

    def texts(self) -> tuple[list[str], ...]:
        return tuple([one.model_dump_json() for one in part] for part in self)


def take(core: Partition, batch: list[SourceRecord], made: Made) -> None:
    """Takes records of one topic through the core; what a batch leaves is given again."""
    while batch:
        applied = core.apply(batch[0].topic, batch)
        assert applied.taken > 0
        answers = answered({one.decision_id: 0.9 for one in applied.situations})
        settled = core.settle(applied.situations, answers, MODEL)
        made.decisions.extend(settled.decisions)
        made.actions.extend(settled.actions)
        batch = batch[applied.taken :]


def one_by_one(stream: list[Told], shop: Catalogue) -> Made:
    core, made = partition(RULES, shop), Made([], [])
    for record in records(stream):
        take(core, [record], made)
    return made


@settings(max_examples=60)
@given(STREAMS, SHOPS)
def test_nobody_is_met_when_it_is_quiet_or_against_their_last_word(
    stream: list[Told], guardrails: dict[str, Any]
) -> None:
    shop = catalogue(*OFFERS, policy={"exploration": 0.5}, timezone="Europe/London", **guardrails)
    rules, newest = shop.guardrails, dict[tuple[str, str], tuple[int, bool]]()
    core, now, made = partition(RULES, shop), START, Made([], [])
    waiting = set[str]()
    for one, record in zip(stream, records(stream), strict=True):
        now += one.gap
        before = len(made.actions), len(made.decisions)
        take(core, [record], made)
        name, ts = f"u{one.user}", now - one.late
        zones = {made_now.action_id: made_now.timezone for made_now in made.decisions[before[1] :]}
        for action in made.actions[before[0] :]:
            zone = zone_of(zones[action.action_id] or "")
            assert zone is not None
            assert rules.quiet_hours is not None
            # The partition's clock, not the moment something was due: that may have been found much later.
            assert not is_quiet(rules.quiet_hours, local(zone, core.clock))
            words = [newest[key] for key in ((action.user_id, action.channel), (action.user_id, "")) if key in newest]
            word = max(words, key=lambda said: (said[0], not said[1]), default=None)
            allowed = rules.consent.default == "granted" or action.channel not in rules.consent.required
            assert allowed if word is None else word[1]
        for decision in made.decisions[before[1] :]:
            if decision.held_until is not None:
                waiting.add(decision.releases or decision.decision_id)
            elif decision.releases is not None:
                waiting.remove(decision.releases)
        if one.what.startswith("consent") and (one.channel or one.what == "consent_withdrawn"):
            key = (name, one.channel or "")
            said = (ts, one.what == "consent_granted")
            newest[key] = max(newest.get(key, (0, True)), said, key=lambda word: (word[0], not word[1]))
    # Nothing that waits is lost: it waits still, or a decision said what came of it.
    held = {one.decision_id for name in core.users.ids() for one in (core.users.get(name) or never()).held}
    assert held == waiting
    assert len({action.action_id for action in made.actions}) == len(made.actions)


def never() -> Any:
    raise AssertionError


@settings(max_examples=60)
@given(STREAMS, SHOPS, st.lists(st.integers(1, 6), min_size=1, max_size=25))
def test_however_the_stream_is_cut_and_the_worker_restarted_the_same_goes_out(
    stream: list[Told], guardrails: dict[str, Any], cuts: list[int]
) -> None:
    shop = catalogue(*OFFERS, policy={"exploration": 0.5}, **guardrails)
    core, made, durable = partition(RULES, shop), Made([], []), list[OutputRecord]()
    left = records(stream)
    for size in [*cuts, *[3] * len(left)]:
        if not left:
            break
        batch = [one for one in left[:size] if one.topic == left[0].topic]
        # Only records that stand together: the order of the two topics is part of the stream.
        length = next((n for n, one in enumerate(left[:size]) if one.topic != left[0].topic), len(batch))
        take(core, left[:length], made)
        left = left[length:]
        if size % 2:
            durable += core.checkpoint(0, 1)
            core = restored(durable, RULES, shop)
    assert made.texts() == one_by_one(stream, shop).texts()
