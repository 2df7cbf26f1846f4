"""What the figures were taken on."""

import os
import platform


def machine() -> dict[str, str | int]:
    """Returns cores, memory, system and how busy it is."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cores": os.cpu_count() or 1,
        "memory_gib": round(memory),
        "system": f"Linux {platform.release()}, Python {platform.python_version()}",
        "load_average": " ".join(f"{load:.1f}" for load in os.getloadavg()),
    }
