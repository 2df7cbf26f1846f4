"""Which group each decision's user belongs to: from a file of the shop's, or by tier."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import structs

from forestay.core.decision.catalogue import Catalogue
from forestay.core.errors import ForestayError
from forestay.core.policy.parity import MAX_GROUPS, OTHERS
from forestay_schemas.types import GroupedBy
from forestay_training.offpolicy.records import Decided, Group, Records

_USER: Final = "user_id"


def by_file(path: Path, decisions: Sequence[Decided]) -> list[str]:
    """Returns the group of each decision's user; of several columns a group is all of them, `north / f`.

    Raises:
        ForestayError: the file has no column user_id or none beside it, tells two groups of a user, none of any
            user of the log, or too many.
        OSError: it cannot be read.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        columns = [name for name in rows.fieldnames or () if name != _USER]
        if _USER not in (rows.fieldnames or ()) or not columns:
            raise ForestayError(f"{path} needs a column {_USER} and one or more that tell groups")
        wanted = {decision.user_id for decision in decisions}
        group_of: dict[str, str] = {}
        for row in rows:
            user, group = row[_USER], " / ".join(row[name] or OTHERS for name in columns)
            if user in wanted and group_of.setdefault(user, group) != group:
                raise ForestayError(f"{path}:{rows.line_num} tells another group of {user} than a line before")
    if not group_of:
        raise ForestayError(
            f"{path} tells the group of no user of the log: are its {_USER} those of the clickstream, in all letters?"
        )
    found = [group_of.get(decision.user_id, OTHERS) for decision in decisions]
    if len(set(found)) > MAX_GROUPS:
        raise ForestayError(
            f"{path} tells {len(set(found)):,} groups, and {MAX_GROUPS} are the most: make them coarser"
        )
    return found


def by_tier(catalogue: Catalogue, decisions: Sequence[Decided]) -> list[str]:
    """Returns the tier each user had reached when it was decided.

    Raises:
        ForestayError: the catalogue has no tiers.
    """
    if not catalogue.tiers:
        raise ForestayError("the catalogue has no tiers: name groups with --groups FILE.csv")
    return [catalogue.tier(decision.features.get("spend_total", 0.0)) or OTHERS for decision in decisions]


def with_countries(records: Records, decisions: Sequence[Decided], countries: Sequence[str]) -> Records:
    """Returns the records with the country of each decision's user where prices of parity look for it."""
    told = {
        decision.decision_id: structs.replace(decision, parity=Group(GroupedBy.COUNTRY, country))
        for decision, country in zip(decisions, countries, strict=True)
    }
    return records._replace(decisions=told)


def tells_country(path: Path) -> bool:
    """Says whether a file tells groups by country alone.

    Raises:
        OSError: it cannot be read.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        return sorted(next(csv.reader(file), [])) == sorted((_USER, str(GroupedBy.COUNTRY)))
