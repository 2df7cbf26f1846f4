"""Where a user's records lie, as other partitions would find them."""

from forestay.core.errors import DeadLetter


def check_place(found_in: int, place: int) -> None:
    """Makes sure that a user is in the partition in which others would look for it.

    Raises:
        DeadLetter: producers choose partitions otherwise than is set.
    """
    if place != found_in:
        raise DeadLetter(
            "wrong_partition",
            f"the user names another id and is in partition {found_in}, not in {place}: topics.partitioner"
            " must be what the producers of the clickstream use, or engine.merge_identities be false",
        )
