"""Hashes that stand for identifiers and for chance: stable over processes, machines and versions."""

from hashlib import blake2b
from typing import Final

from librt.strings import read_i64_be
from mypy_extensions import i64
from xxhash import xxh3_64_digest

_SCALE: Final[float] = 2.0**-64
#: 62 bits: the largest number that a state record can hold.
_MASK: Final = 2**62 - 1


def hash64(text: str) -> i64:
    """Returns the hash of a text's UTF-8, see `hash_bytes`."""
    return hash_bytes(text.encode())


def hash_bytes(content: bytes) -> i64:
    """Returns a 62-bit hash (the low bits of XXH3), never 0, so that 0 can mean 'none'.

    Not cryptographic: it tells a user's own events, orders and items apart, where a forged collision would
    harm the forger alone.
    """
    return (read_i64_be(xxh3_64_digest(content), 0) & _MASK) or 1


def unit_interval(*parts: str) -> float:
    """Returns a number in [0, 1) that depends on `parts` alone (BLAKE2b): the only source of chance (design D4)."""
    digest = blake2b("\x1f".join(parts).encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") or 1) * _SCALE * (1 - 2.0**-53)


def identifier(*parts: str) -> str:
    """Returns 32 hexadecimal digits naming what `parts` describe: decision and action ids."""
    return bytes_identifier("\x1f".join(parts).encode())


def bytes_identifier(*parts: bytes) -> str:
    """Returns 32 hexadecimal digits naming the concatenation of `parts`."""
    return blake2b(b"".join(parts), digest_size=16).hexdigest()
