"""Catalogues that change under a stream, between any two batches and lives: made again to the byte, nothing mixed."""

from collections import defaultdict
from datetime import UTC, datetime
from random import Random

import pytest
from support.builders import DIGEST, catalogue, offer
from support.ledger_world import TOPICS, InMemory, again, lived, sources
from support.simulation import Pushed

from forestay.catalogues.record import record_of
from forestay.configuration import Configuration
from forestay.core.decision.catalogue import Catalogue
from forestay.core.record import OutputRecord
from forestay.core.rules import Rules
from forestay.core.units import DAY
from forestay.rerun.catalogues import Catalogues
from forestay_schemas import Decision, LedgerRecord, LedgerStart, RetentionAction

RULES = Rules(score_max_age=2 * DAY, score_interval=0)
ALWAYS = {"quiet_hours": {"from": "18:00", "until": "9:00"}}


def shop(number: int, random: Random) -> Catalogue:
    """One whose every offer says in its payload which catalogue it is of; offers, limits and rules come and go."""
    mark = {"text": f"of {number}"}
    mail = offer("mail", effect=0.2, payload=mark)
    coupon = offer("coupon", kind="loyalty", effect=0.6, cost={"basket_share": 0.05, "points": 9}, budgets=["points"])
    held = random.choice([{}, ALWAYS])
    return catalogue(
        *random.choice([[mail], [coupon | {"payload": {"points": 9}}, mail]]),
        cap_contacts=random.choice([None, 1, 5]),
        cap_days=20,
        policy={"exploration": random.choice([0.0, 0.4]), "margin": random.choice([0.5, 1.0])},
        budgets=[{"id": "points", "unit": "points", "limit": random.choice([9, 40])}],
        **held,
    )


def world(seed: int) -> tuple[InMemory, list[Catalogue]]:
    random = Random(seed)
    shops = [shop(number, random) for number in range(random.randint(2, 6))]
    recordings = lived(sources(random), RULES, Pushed(shops), random, crashes=4)
    recordings.add(TOPICS.catalogue, 0, [pushed(one, number) for number, one in enumerate(shops, start=1)])
    return recordings, shops


def pushed(one: Catalogue, revision: int) -> OutputRecord:
    moment = datetime(2026, 11, 23, tzinfo=UTC)
    return record_of(one, revision=revision, pushed_at=moment, pushed_by="me", reason="because")


@pytest.mark.parametrize("seed", range(40))
def test_catalogues_that_change_anywhere_are_made_again_to_the_byte(seed: int) -> None:
    recordings, shops = world(seed)
    # The settings have the last: all others must come from the topic.
    catalogues = Catalogues(recordings, TOPICS.catalogue, Configuration(RULES, shops[-1], DIGEST))
    assert again(recordings, RULES, shops[-1], catalogues=catalogues).divergence is None


def test_without_the_topic_the_rerun_says_which_catalogue_it_lacks() -> None:
    recordings, shops = next(one for one in map(world, range(40)) if len(versions(one[0])) > 1)
    del recordings.logs[TOPICS.catalogue]
    catalogues = Catalogues(recordings, TOPICS.catalogue, Configuration(RULES, shops[-1], DIGEST))
    found = again(recordings, RULES, shops[-1], catalogues=catalogues).divergence
    assert found is not None
    assert "neither that of the settings nor recorded" in found.causes[0]


@pytest.mark.parametrize("seed", range(40))
def test_every_action_is_of_the_catalogue_that_decided_it_however_often_it_was_written(seed: int) -> None:
    recordings, shops = world(seed)
    mark = {one.digest(): {f"of {number}"} for number, one in enumerate(shops)}
    for number, one in enumerate(shops):
        # Two may be alike but for the mark of an offer that neither has.
        mark[one.digest()] |= {f"of {other}" for other, same in enumerate(shops) if same.digest() == one.digest()}
        assert f"of {number}" in mark[one.digest()]
    decided = [Decision.model_validate_json(row.value or b"") for row in recordings.logs.get(TOPICS.decisions, ())]
    # What was held is decided once more when it is released, under the catalogue of then.
    by_action = {one.action_id: one.policy.version for one in decided if one.action_id and not one.held_until}
    written: dict[str, set[bytes]] = defaultdict(set)
    for row in recordings.logs.get(TOPICS.actions, ()):
        action = RetentionAction.model_validate_json(row.value or b"")
        written[action.action_id].add(row.value or b"")
        if action.offer_id == "mail":
            assert action.payload["text"] in mark[by_action[action.action_id]]
    assert all(len(copies) == 1 for copies in written.values())


def versions(recordings: InMemory) -> set[str]:
    entries = [LedgerRecord.model_validate_json(row.value or b"").root for row in recordings.logs[TOPICS.ledger]]
    return {str(entry.catalogue) for entry in entries if entry.kind == "batch"}


def test_these_worlds_change_catalogues_within_a_life_and_take_decisions_of_others_as_made() -> None:
    """Else the tests above would show nothing."""
    within, across = 0, 0
    for recordings, _ in map(world, range(40)):
        entries = [LedgerRecord.model_validate_json(row.value or b"").root for row in recordings.logs[TOPICS.ledger]]
        within += len(versions(recordings)) > 1
        decisions = recordings.logs.get(TOPICS.decisions, [])
        for start in entries:
            if isinstance(start, LedgerStart):
                made = [Decision.model_validate_json(row.value or b"") for row in decisions]
                taken = made[start.decisions : start.decisions_end]
                across += any(one.action_id and one.policy.version != start.catalogue for one in taken)
    assert within > 20
    assert across > 5
