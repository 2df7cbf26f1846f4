"""The books: whether what the topics hold adds up. Pure functions of what was read.

Every line sets a number that must be there against the number found. Together they find any lost, invented
or altered record: events against users' counts and dead letters, decisions against the log's end in the
durable marks, actions against decisions and against what each user's state remembers of being contacted.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from forestay.core.event import NEVER
from forestay.core.state.contact import MAX_CONTACTS
from forestay.core.state.mark import PartitionMark
from forestay.core.state.user_state import UserState
from forestay.core.units import to_milliseconds
from forestay.output_reading import Action, Decision, SeenAction, SeenDeadLetter, SeenDecision
from forestay_schemas.types import Rung

#: Examples a failed line names; the rest is counted.
_EXAMPLES: Final = 3
_RUNGS: Final = frozenset(Rung)
_T = TypeVar("_T")


class Evidence(NamedTuple):
    """What the topics hold after a clean stop.

    `sent` is the sender's own count. `source`, `clock` and `log` are the end offsets by partition of the
    clickstream, the clock and the decisions; the topics began empty, at offset 0. `states` and `marks` are
    the last records of the changelog by user and by partition; the rest is in the order it was read.
    `broken` and `repeats` count the events spoilt and repeated on purpose, None where nobody knows.
    """

    sent: int
    clickstream: str
    clock_topic: str
    source: Mapping[int, int]
    clock: Mapping[int, int]
    log: Mapping[int, int]
    states: Mapping[str, UserState]
    marks: Mapping[int, PartitionMark]
    dead_letters: Sequence[SeenDeadLetter]
    decisions: Sequence[SeenDecision]
    actions: Sequence[SeenAction]
    unreadable: Sequence[str] = ()
    broken: int | None = None
    repeats: int | None = None


class Line(NamedTuple):
    """One line of the books: `expected` must be `found`; `note` says what is wrong, or how it adds up."""

    name: str
    expected: int
    found: int
    balanced: bool
    note: str = ""


class Books(NamedTuple):
    """All lines, and how many ids were seen again with the same content: allowed, but only after a crash."""

    lines: list[Line]
    repeated: int

    @property
    def balance(self) -> bool:
        """Says whether every line balances."""
        return all(line.balanced for line in self.lines)


class _Distinct(NamedTuple):
    """Records by id: the first of each, how many repeated one, and the ids with two contents."""

    repeated: int
    conflicts: list[str]


def keep_books(evidence: Evidence) -> Books:
    """Returns the books of `evidence`."""
    decisions, decision_ids = _distinct(
        ((seen.record, seen.stamp.digest) for seen in evidence.decisions), lambda record: record.decision_id
    )
    actions, action_ids = _distinct(
        ((seen.record, seen.stamp.digest) for seen in evidence.actions), lambda record: record.action_id
    )
    letters, letter_ids = _distinct(
        ((letter, letter.digest) for letter in evidence.dead_letters),
        lambda letter: f"{letter.topic}-{letter.partition}@{letter.offset}",
    )
    checks = (decision_ids, action_ids, letter_ids)
    lines = [
        *_event_lines(evidence, letters.values()),
        _position_line(evidence),
        _log_line(evidence),
        *_pair_lines(decisions, actions),
        _score_line(decisions.values()),
        _last_score_line(evidence.states, decisions.values()),
        _contact_line(evidence.states, actions.values(), decisions.values()),
        _zero("ids with two contents", [name for check in checks for name in check.conflicts]),
        _zero("records that cannot be read", list(evidence.unreadable)),
    ]
    return Books(lines, sum(check.repeated for check in checks))


def _distinct(records: Iterable[tuple[_T, bytes]], name: Callable[[_T], str]) -> tuple[dict[str, _T], _Distinct]:
    first: dict[str, _T] = {}
    digests: dict[str, bytes] = {}
    repeated, conflicts = 0, []
    for record, digest in records:
        known = digests.setdefault(name(record), digest)
        if name(record) not in first:
            first[name(record)] = record
        elif known == digest:
            repeated += 1
        else:
            conflicts.append(name(record))
    return first, _Distinct(repeated, conflicts)


def _event_lines(evidence: Evidence, letters: Iterable[SeenDeadLetter]) -> list[Line]:
    by_topic = Counter(letter.topic for letter in letters)
    dead = by_topic.pop(evidence.clickstream, 0)
    applied = sum(state.applied for state in evidence.states.values())
    duplicates = sum(state.duplicates for state in evidence.states.values())
    found = applied + duplicates + dead
    note = f"{applied:,} applied + {duplicates:,} duplicates + {dead:,} dead-lettered"
    if found != evidence.sent:
        missing = evidence.sent - found
        note += f"; {abs(missing):,} {'unaccounted for' if missing > 0 else 'more than were sent'}"
    on_purpose = (
        ("events broken on purpose are dead letters", evidence.broken, dead),
        ("events repeated on purpose are duplicates", evidence.repeats, duplicates),
    )
    return [
        _line("events sent are on the source topic", evidence.sent, sum(evidence.source.values())),
        _line("events sent are accounted for", evidence.sent, found, note),
        *(_line(name, known, seen) for name, known, seen in on_purpose if known is not None),
        _zero("dead letters from elsewhere", [f"{count} from {topic}" for topic, count in sorted(by_topic.items())]),
    ]


def _position_line(evidence: Evidence) -> Line:
    """Checks that each partition's durable mark stands at the end of its sources."""
    ends = {(evidence.clickstream, number): end for number, end in evidence.source.items()}
    ends |= {(evidence.clock_topic, number): end for number, end in evidence.clock.items()}
    reached = {
        (topic, number): position
        for number, mark in evidence.marks.items()
        for topic, position in mark.positions.items()
    }
    behind = [
        f"{topic}-{number}: {reached.get((topic, number), 0):,} of {end:,}"
        for (topic, number), end in sorted(ends.items())
        if reached.get((topic, number), 0) != end
    ]
    return _line("durable positions are the sources' ends", sum(ends.values()), sum(reached.values()), faults=behind)


def _log_line(evidence: Evidence) -> Line:
    """Checks that the decisions read are those the durable marks count."""
    expected = sum(mark.decisions for mark in evidence.marks.values())
    wrong = [
        f"partition {number}: {end:,} on the topic, {evidence.marks[number].decisions:,} in the mark"
        for number, end in sorted(evidence.log.items())
        if number in evidence.marks and evidence.marks[number].decisions != end
    ]
    return _line("decisions the state counts are in the log", expected, len(evidence.decisions), faults=wrong)


def _pair_lines(decisions: Mapping[str, Decision], actions: Mapping[str, Action]) -> list[Line]:
    orphans = [
        name
        for name, action in actions.items()
        if (decision := decisions.get(action.decision_id)) is None or _told_apart(decision, action)
    ]
    # What waits for the end of quiet hours is owed when a decision releases it.
    acting = [one for one in decisions.values() if (one.action_id or one.offer_id) and one.held_until is None]
    unmet = [decision.decision_id for decision in acting if decision.action_id not in actions]
    return [
        _line("actions have their decision", len(actions), len(actions) - len(orphans), faults=orphans),
        _line("decisions to act have their action", len(acting), len(acting) - len(unmet), faults=unmet),
    ]


def _told_apart(decision: Decision, action: Action) -> bool:
    """Says whether an action is not what its decision decided."""
    named = (decision.action_id, decision.offer_id, decision.user_id, decision.decided_at, decision.trigger)
    return named != (action.action_id, action.offer_id, action.user_id, action.decided_at, action.trigger)


def _score_line(decisions: Iterable[Decision]) -> Line:
    every = list(decisions)
    wanting = [
        decision.decision_id
        for decision in every
        if decision.churn.rung not in _RUNGS
        or decision.churn.probability is None
        or not 0 <= decision.churn.probability <= 1
    ]
    return _line("decisions have score and rung", len(every), len(every) - len(wanting), faults=wanting)


def _last_score_line(states: Mapping[str, UserState], decisions: Iterable[Decision]) -> Line:
    """Checks that each user's last score, by the state, is a decision in the log."""
    moments: dict[str, set[int]] = defaultdict(set)
    for decision in decisions:
        moments[decision.user_id].add(to_milliseconds(decision.decided_at))
    scored = {user: state.scored_ts for user, state in states.items() if state.scored_ts != NEVER}
    unknown = [user for user, ts in sorted(scored.items()) if ts not in moments[user]]
    strangers = sorted(user for user, at in moments.items() if at and user not in scored)
    return _line(
        "users' last scores are in the log", len(scored), len(scored) - len(unknown), faults=unknown + strangers
    )


def _contact_line(states: Mapping[str, UserState], actions: Iterable[Action], decisions: Iterable[Decision]) -> Line:
    """Checks that what each user's state remembers of being contacted is what was sent, the newest of it."""
    released = {one.action_id: one.decided_at for one in decisions if one.releases and one.held_until is None}
    sent: dict[str, Counter[Hashable]] = defaultdict(Counter)
    for action in actions:
        went = released.get(action.action_id, action.decided_at)
        sent[action.user_id][(to_milliseconds(went), action.offer_id)] += 1
    remembered = {
        user: Counter[Hashable]((contact.ts, contact.offer_id) for contact in state.contacts)
        for user, state in states.items()
    }
    wrong = [
        user
        for user in sorted(sent.keys() | remembered.keys())
        if not _same_contacts(sent[user], remembered.get(user, Counter()))
    ]
    expected = sum(min(contacts.total(), MAX_CONTACTS) for contacts in sent.values())
    return _line(
        "actions are remembered by their users' states",
        expected,
        sum(contacts.total() for contacts in remembered.values()),
        faults=wrong,
    )


def _same_contacts(sent: Counter[Hashable], remembered: Counter[Hashable]) -> bool:
    return remembered <= sent and remembered.total() == min(sent.total(), MAX_CONTACTS)


def _zero(name: str, faults: Sequence[str]) -> Line:
    return _line(name, 0, len(faults), faults=faults)


def _line(name: str, expected: int, found: int, note: str = "", faults: Sequence[str] = ()) -> Line:
    if not note and not faults and expected != found:
        note = f"{abs(expected - found):,} {'missing' if found < expected else 'too many'}"
    if faults:
        rest = len(faults) - _EXAMPLES
        more = f" and {rest:,} more" if rest > 0 else ""
        note = "; ".join(filter(None, (note, "look at " + ", ".join(faults[:_EXAMPLES]) + more)))
    return Line(name, expected, found, expected == found and not faults, note)
