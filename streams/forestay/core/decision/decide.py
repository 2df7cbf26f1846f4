"""One decision: guardrails, policy, and the two records they leave."""

from collections.abc import Collection, Sequence

from forestay.core.actions.fill import expires_at, filled
from forestay.core.budget.book import Book
from forestay.core.decision.budgeting import afford
from forestay.core.decision.catalogue import Catalogue
from forestay.core.decision.guardrails import ROOM, Room, Screen
from forestay.core.decision.policy import cost, draw
from forestay.core.decision.reasons import why, why_so
from forestay.core.decision.release import held_of
from forestay.core.decision.situation import Situation, action_id_of
from forestay.core.items.offered import items_by, offered_items
from forestay.core.policy.by_rules import speaking
from forestay.core.policy.weighing import parity_group, rules_decide, weigh
from forestay.core.record import OutputRecord
from forestay.core.state.contact import MAX_CONTACTS, Contact, Score
from forestay.core.state.held import Held, put_held
from forestay.core.state.user_state import UserState
from forestay.core.survival import Survival
from forestay.core.units import to_datetime, to_milliseconds
from forestay_schemas.decision import Decision, ParityGroup
from forestay_schemas.retention_action import Churn, ExperimentArm, PolicyStamp, RetentionAction
from forestay_schemas.types import Rung


def decide(
    situation: Situation,
    contacts: Sequence[Contact],
    churn: Churn,
    catalogue: Catalogue,
    digest: str,
    *,
    book: Book,
    room: Room = ROOM,
    arms: Collection[str] = (),
) -> Decision:
    """Returns the decision; changes nothing.

    `contacts` are those remembered of the user, oldest first; `digest` is `catalogue.digest()`, computed
    once: it is the policy's version. `book` says what the partition may spend, `room` whether an action may wait.
    `arms` are the user's in experiments.
    """
    screen = Screen(situation, contacts, churn.probability, catalogue, room)
    allowed, suppressed = screen.all()
    affordable = afford(allowed, situation, catalogue, book, arms)
    candidates = weigh(affordable.offers, situation, churn.probability, catalogue, affordable.surcharges, churn.rung)
    chosen = candidates[draw(candidates, situation.decision_id, catalogue.policy.salt)]
    rule = None
    if rules_decide(catalogue, churn.rung):
        rule = speaking(chosen.offer_id, situation, churn.probability, catalogue)
    offer = catalogue.offer(chosen.offer_id)
    until = None if offer is None else screen.held_until(offer)
    return Decision(
        decision_id=situation.decision_id,
        user_id=situation.user_id,
        decided_at=to_datetime(situation.now),
        trigger=situation.trigger,
        churn=churn,
        policy=PolicyStamp(name=catalogue.policy.name, version=digest, propensity=chosen.propensity),
        holdout=screen.holdout,
        candidates=candidates,
        suppressed=suppressed + affordable.suppressed,
        offer_id=chosen.offer_id,
        action_id=None if chosen.offer_id is None else action_id_of(situation.decision_id),
        reasons=[
            *why(situation, churn, chosen, screen.holdout, rule),
            *why_so(situation, catalogue, screen.quiet, until),
        ],
        features=situation.policy_features(),
        feature_hash=situation.input_hash(),
        kind=chosen.kind,
        channel=None if offer is None else offer.channel,
        marketing=offer is not None and offer.marketing,
        held_until=None if until is None else to_datetime(until),
        timezone=None if screen.quiet is None else screen.quiet.zone,
        budgets=affordable.draws(chosen.offer_id),
        items=() if offer is None else tuple(offered_items(offer, situation, catalogue)),
        items_by=None if offer is None else items_by(offer, situation, catalogue),
        embedding=() if situation.embedding is None else situation.embedding.numbers,
        parity=_parity(situation, catalogue, churn.rung),
    )


def _parity(situation: Situation, catalogue: Catalogue, rung: Rung) -> ParityGroup | None:
    prices = catalogue.policy.parity
    if prices is None or rules_decide(catalogue, rung):
        return None
    return ParityGroup(by=prices.by, group=parity_group(prices.by, situation, catalogue))


def action_of(decision: Decision, catalogue: Catalogue) -> RetentionAction | None:
    """Returns the action a decision asks for, the same bytes whenever it is asked.

    None if it asks for none now, or if its offer has been taken out of the catalogue since.
    """
    if decision.action_id is None or decision.held_until is not None:
        return None
    offer = catalogue.offer(decision.offer_id)
    if offer is None:
        return None
    return RetentionAction(
        action_id=decision.action_id,
        user_id=decision.user_id,
        decided_at=decision.decided_at,
        expires_at=expires_at(offer, decision),
        kind=offer.kind,
        offer_id=offer.id,
        channel=offer.channel,
        payload=filled(offer, decision, catalogue),
        cost=cost(offer, decision.features["average_basket"]),
        reasons=decision.reasons,
        trigger=decision.trigger,
        churn=decision.churn,
        policy=decision.policy,
        experiment=next((ExperimentArm(name=one.experiment, arm=one.arm) for one in decision.experiments), None),
        decision_id=decision.decision_id,
    )


def record_of(made: Decision | RetentionAction) -> OutputRecord:
    """Returns the record to write of a decision or an action."""
    return OutputRecord(made.user_id.encode(), made.model_dump_json().encode())


def _score(churn: Churn, decided_at: int) -> Score:
    curve = None if churn.survival is None else Survival(churn.survival.hours, churn.survival.shares)
    return Score(churn.probability, decided_at, churn.version, curve)


def remember(state: UserState, decision: Decision, decided_at: int, held: Held | None = None) -> None:
    """Puts what a decision did, just made or found in the log, into the state; `decided_at` in milliseconds.

    `held` is what it releases. A contact is remembered when its action goes out, not while it waits.
    """
    state.scored_ts = max(state.scored_ts, decided_at)
    if decision.churn.rung is Rung.MODEL:
        state.score = _score(decision.churn, decided_at)
    if decision.held_until is not None:
        until = to_milliseconds(decision.held_until)
        again = held_of(decision, until) if held is None else Held(until, held.decision_id, held.decision)
        state.held = put_held(state.held, again)
    elif decision.offer_id is not None:
        state.contacts.append(_contact(decision, decision.offer_id, decided_at))
        if len(state.contacts) > MAX_CONTACTS:
            del state.contacts[0]


def _contact(decision: Decision, offer_id: str, decided_at: int) -> Contact:
    if decision.kind is None:
        # A record of before decisions said it.
        return Contact(decided_at, offer_id)
    return Contact(decided_at, offer_id, decision.channel or "", decision.kind.value, decision.marketing)
