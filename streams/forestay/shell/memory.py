"""How a worker's process keeps its memory: settings of Python's garbage collector and of the C library."""

import ctypes
import gc
from typing import Final

#: New objects before Python looks for garbage (its default is 700): state is many small objects that live long, and
#: the default would go through all of them ever again.
_GARBAGE_THRESHOLD: Final = 50_000
#: glibc's names for: blocks from this size on are mapped one by one; free memory from this size on is given back.
_MMAP_THRESHOLD: Final = -3
_TRIM_THRESHOLD: Final = -1
#: And for how many heaps threads share: what is kept is kept by each.
_ARENA_MAX: Final = -8
_ARENAS: Final = 2
_MAPPED_BYTES: Final = 32 * 1_048_576
_KEPT_BYTES: Final = 64 * 1_048_576


def settle_memory() -> None:
    """Applies them to this process.

    A fetch is a block of megabytes, made and freed ever again. Mapped and unmapped each time, its empty pages cost
    4 % of a worker's CPU time; kept, they cost 64 MiB a heap at most.
    """
    gc.set_threshold(_GARBAGE_THRESHOLD, 20, 100)
    # Other C libraries have no such function.
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_ARENA_MAX, _ARENAS)
        set_option(_MMAP_THRESHOLD, _MAPPED_BYTES)
        set_option(_TRIM_THRESHOLD, _KEPT_BYTES)
