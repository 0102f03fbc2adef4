"""Whether weather by chance strikes: the same seed, the same run. Pure."""

from hashlib import sha256

HUNDRED = 100


def falls(seed: int, kind: str, number: int, chance: int | None) -> bool:
    """Whether the meeting of this number is one that is struck; without a chance each is."""
    if chance is None:
        return True
    draw = int.from_bytes(sha256(f"{seed}:{kind}:{number}".encode()).digest()[:8], "big")
    return draw % HUNDRED < chance
