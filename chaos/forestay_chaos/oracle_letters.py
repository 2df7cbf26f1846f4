"""The dead letters: each record that had to be refused is there, its bytes untouched, and no other is."""

from collections.abc import Sequence

from forestay_chaos.oracle_truth import Coordinates, Truth
from forestay_chaos.read_record import ReadRecord
from forestay_chaos.verdict import Verdict


def check_dead_letters(
    truth: Truth, clickstream: Sequence[ReadRecord], letters: Sequence[ReadRecord], verdict: Verdict
) -> None:
    """Holds the dead letters against what had to be refused; a letter may be there more than once."""
    topic = clickstream[0].topic if clickstream else ""
    found: set[Coordinates] = set()
    verdict.dead_letters = len(letters)
    for letter in letters:
        told = {name: value or b"" for name, value in letter.headers}
        source, code = told.get("forestay-topic", b"").decode(), told.get("forestay-error", b"").decode()
        place = int(told.get("forestay-partition", b"-1")), int(told.get("forestay-offset", b"-1"))
        refused = truth.refused.get(place) if source == topic else None
        if refused is None:
            verdict.find("dead_letters_made_up", f"{source} {place}, {code}: is well, or not there")
            continue
        if place in found:
            verdict.dead_letters_repeated += 1
        found.add(place)
        original = refused.record
        same = (letter.key, letter.value) == (original.key, original.value)
        if not same or code not in refused.codes or letter.headers[: len(original.headers)] != original.headers:
            verdict.find("dead_letters_altered", f"{place}: {code}, not {sorted(refused.codes)}; same bytes: {same}")
    for place, refused in truth.refused.items():
        if refused.surely and place not in found:
            verdict.find("dead_letters_lost", f"{topic} {place}, {sorted(refused.codes)}")
