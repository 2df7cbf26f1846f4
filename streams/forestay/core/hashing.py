"""Hashes that stand for identifiers and for chance: stable over processes, machines and versions."""

from hashlib import blake2b

_SCALE = 2.0**-64


def hash64(text: str) -> int:
    """Returns an unsigned 64-bit hash of `text` (BLAKE2b), never 0, so that 0 can mean 'none'."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") or 1


def unit_interval(*parts: str) -> float:
    """Returns a number in [0, 1) that depends on `parts` alone: the only source of chance (design D4)."""
    return hash64("\x1f".join(parts)) * _SCALE * (1 - 2.0**-53)


def identifier(*parts: str) -> str:
    """Returns 32 hexadecimal digits naming what `parts` describe: decision and action ids."""
    return bytes_identifier("\x1f".join(parts).encode())


def bytes_identifier(*parts: bytes) -> str:
    """Returns 32 hexadecimal digits naming the concatenation of `parts`."""
    return blake2b(b"".join(parts), digest_size=16).hexdigest()
