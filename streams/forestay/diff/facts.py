"""Decisions and actions as a comparison sees them, whichever version of the code made them."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from sys import intern
from typing import Final, NamedTuple

import msgspec

from forestay.output_reading import Action, Suppressed
from forestay.recording import RecordingError
from forestay.rerun.outputs import Kind, Made
from forestay.rerun.reading import Recordings
from forestay.settings import TopicSettings

#: Upper ends of the bands of churn probability, and of numbers of orders.
_RISKS: Final = ((0.2, "below 20 %"), (0.4, "20 to 40 %"), (0.6, "40 to 60 %"), (0.8, "60 to 80 %"))
_MOST: Final = "80 % and more"
_ORDERS: Final = ((1, "no order"), (2, "1 order"), (5, "2 to 4 orders"), (10, "5 to 9 orders"))
_MANY: Final = "10 orders and more"
_UNKNOWN: Final = "unknown"


class _Trigger(msgspec.Struct, frozen=True):
    kind: str
    name: str | None = None


class _Churn(msgspec.Struct, frozen=True):
    probability: float | None = None
    rung: str | None = None


class _Decision(msgspec.Struct, frozen=True):
    """The fields a comparison needs; what a version did not write yet stays empty."""

    decision_id: str
    user_id: str
    decided_at: datetime
    trigger: _Trigger
    churn: _Churn = _Churn()
    holdout: bool = False
    suppressed: tuple[Suppressed, ...] = ()
    offer_id: str | None = None
    features: dict[str, float] = {}


class Segments(NamedTuple):
    """Where a decision belongs, one name in each division."""

    risk: str
    orders: str
    trigger: str
    rung: str


class Choice(NamedTuple):
    """One decision: about 400 bytes with its place in a table."""

    user_id: str
    decided_at: datetime
    offer_id: str | None
    probability: float | None
    segments: Segments


class Deed(NamedTuple):
    """One action, by what it was and cost."""

    kind: str
    offer_id: str
    cost: float


class Facts:
    """All decisions and actions of one side, by decision id; what comes again counts once."""

    def __init__(self) -> None:
        """Starts with none."""
        self.choices: dict[str, Choice] = {}
        self.deeds: dict[str, Deed] = {}
        #: Offers taken away before the policy chose, by the rule's code.
        self.suppressed: Counter[str] = Counter()
        self._segments: dict[Segments, Segments] = {}

    def take(self, made: Made) -> None:
        """See `rerun.outputs.Sink.take`."""
        for record in made.records if made.kind in {Kind.DECISIONS, Kind.ACTIONS} else ():
            self.add(made.kind, record.value or b"")

    def add(self, kind: Kind, value: bytes) -> None:
        """Takes a decision or an action as it stands on its topic.

        Raises:
            msgspec.DecodeError: it is none.
        """
        if kind is Kind.DECISIONS:
            self._add_decision(_decode_decision(value))
        else:
            action = _decode_action(value)
            self.deeds[action.decision_id] = Deed(intern(action.kind.value), intern(action.offer_id), action.cost)

    def _add_decision(self, decision: _Decision) -> None:
        if decision.decision_id in self.choices:
            return
        found = _segments(decision)
        offer = None if decision.offer_id is None else intern(decision.offer_id)
        self.choices[decision.decision_id] = Choice(
            intern(decision.user_id),
            decision.decided_at,
            offer,
            decision.churn.probability,
            self._segments.setdefault(found, found),
        )
        self.suppressed.update(one.code for one in decision.suppressed)


_decode_decision: Final = msgspec.json.Decoder(_Decision).decode
_decode_action: Final = msgspec.json.Decoder(Action).decode


def read_facts(recordings: Recordings, topics: TopicSettings) -> Facts:
    """Returns what was decided and done, as recorded.

    Raises:
        RecordingError: there are no decisions, or no actions though some were decided on, or a record is none.
    """
    kinds = {topics.decisions: Kind.DECISIONS, topics.actions: Kind.ACTIONS}
    names = ", ".join(str(recording.path) for recording in recordings.recordings)
    if topics.decisions not in recordings.topics:
        raise RecordingError(
            f"{names}: no {topics.decisions} in it, only {', '.join(recordings.topics) or 'nothing'}: name the topic"
            " of the decisions with --set topics.decisions=NAME"
        )
    facts = Facts()
    for row in recordings.rows(kinds):
        try:
            facts.add(kinds[row.topic], row.value or b"")
        except msgspec.DecodeError as error:
            raise RecordingError(f"{row.topic}-{row.partition}@{row.offset} cannot be read: {error}") from error
    # Without them nothing would have been spent, and every limit on spend be kept to.
    if not facts.deeds and any(choice.offer_id is not None for choice in facts.choices.values()):
        raise RecordingError(
            f"{names}: decisions to act, and no {topics.actions}, which say what they cost: record that topic too, or"
            " name it with --set topics.actions=NAME"
        )
    return facts


def _segments(decision: _Decision) -> Segments:
    churn, trigger = decision.churn, decision.trigger
    orders = decision.features.get("orders_total")
    return Segments(
        _band(churn.probability, _RISKS, _MOST),
        _band(orders, _ORDERS, _MANY),
        f"{trigger.kind} {trigger.name}" if trigger.name else trigger.kind,
        churn.rung or _UNKNOWN,
    )


def _band(value: float | None, bands: tuple[tuple[float, str], ...], rest: str) -> str:
    if value is None:
        return _UNKNOWN
    return next((name for end, name in bands if value < end), rest)


def bands(division: str) -> Iterator[str]:
    """Yields the names of a division that has an order, in this order."""
    if division == "risk":
        yield from (*(name for _, name in _RISKS), _MOST)
    elif division == "orders":
        yield from (*(name for _, name in _ORDERS), _MANY)
