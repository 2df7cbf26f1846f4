"""A process of its own for a measurement in the core: `python -m forestay_bench.core_child WHAT FILE USERS`.

Memory is what the process takes, so it must not have done anything else before. Prints one line of JSON.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from forestay_bench.core_memory import measure_live, measure_packed
from forestay_bench.core_records import Recorded, load
from forestay_bench.core_timers import measure_events, measure_timers

MEASURES: Final[dict[str, Callable[[Recorded, int], Any]]] = {
    "packed": measure_packed,
    "live": measure_live,
    "timers": measure_timers,
    "events": measure_events,
}

if __name__ == "__main__":
    what, file, users = sys.argv[1:]
    print(json.dumps(asdict(MEASURES[what](load(Path(file)), int(users)))))  # noqa: T201
