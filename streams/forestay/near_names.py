"""What a misspelt name was meant to be: of settings, and of what else a file may name."""

from collections.abc import Collection, Iterable
from difflib import SequenceMatcher, get_close_matches
from typing import Any, Final

#: How alike two names are to be (0 to 1) for one to be taken for the other.
_ALIKE: Final = 0.6
#: What the section counts for beside the setting's own name.
_SECTION_SHARE: Final = 0.4


def near_setting(asked: str, names: Iterable[str]) -> str | None:
    """Returns which of the dotted `names` is meant by `asked`, None where none is near.

    The setting's own name has to be alike. Its section tells between several; asked without one, all are equal.
    """
    section, _, own = asked.rpartition(".")
    best, found = 0.0, None
    for name in names:
        its_section, _, its_own = name.rpartition(".")
        likeness = _likeness(own, its_own)
        if likeness < _ALIKE:
            continue
        if section:
            likeness = (1 - _SECTION_SHARE) * likeness + _SECTION_SHARE * _likeness(section, its_section)
        if likeness > best:
            best, found = likeness, name
    return found if best >= _ALIKE else None


def no_such_setting(location: tuple[int | str, ...], value: Any, names: Collection[str]) -> str:
    """Returns what to say of a setting that is none: at `location`, with this `value`."""
    asked = ".".join(map(str, location))
    if isinstance(value, dict) and value:
        # A whole section is unknown: its first setting tells most.
        asked = f"{asked}.{next(iter(value))}"
    near = near_setting(asked, names)
    return f"no such setting; is {near} meant?" if near else "no such setting; `forestay config` prints all"


def meant(asked: str, names: Iterable[str]) -> str:
    """Returns the question whether the nearest of `names` is meant, to be put behind a message, or an empty text."""
    near = get_close_matches(asked, list(names), n=1, cutoff=_ALIKE)
    return f"; is {near[0]} meant?" if near else ""


def _likeness(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other).ratio()
