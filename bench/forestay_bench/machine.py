"""What the figures were taken on."""

import os
import platform
import subprocess
from pathlib import Path


def machine() -> dict[str, str]:
    """Returns processor, memory, system and versions, by what they are."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{memory:.0f} GiB",
        "system": f"{_distribution()}, Linux {platform.release()}",
        "Python": platform.python_version(),
        "Java": _java(),
        "broker": "Apache Kafka 4.1.0, one node, 1 GiB of heap, on loopback of the same machine",
    }


def _processor() -> str:
    names = [line.partition(":")[2] for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return names[0].strip() if names else platform.machine()


def _distribution() -> str:
    names = [line.partition("=")[2] for line in _lines("/etc/os-release") if line.startswith("PRETTY_NAME")]
    return names[0].strip('"') if names else "unknown"


def _lines(file: str) -> list[str]:
    try:
        return Path(file).read_text().splitlines()
    except OSError:
        return []


def _java() -> str:
    try:
        said = subprocess.run(["java", "-version"], capture_output=True, text=True, timeout=20, check=False)  # noqa: S607
    except FileNotFoundError:
        return "none"
    return next(iter(said.stderr.splitlines()), "unknown")
