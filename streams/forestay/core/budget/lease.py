"""A partition's share of a budget: what it may spend without asking anybody.

A budget is cut into whole units, one share for each partition; the shares of a period make its limit, to the unit. A
share belongs to the partition, not to the worker that has it: what was spent of it is in the partition's durable
state, and who takes the partition over, behind the fence, goes on with what is left. So nobody has to be asked, no
share has to be taken back from a dead worker, and two workers cannot spend the same unit. This is the escrow method
(O'Neil, ACM TODS 11(4), 1986), without its moves between sites.
"""


def share_of(limit: int, number: int, partitions: int) -> int:
    """Returns what partition `number` of `partitions` may spend of `limit` units; the shares sum to the limit."""
    return limit * (number + 1) // partitions - limit * number // partitions
