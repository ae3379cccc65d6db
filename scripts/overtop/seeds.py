"""Seeds of the random streams of a run."""

import hashlib


def derive_seed(*parts: object) -> int:
    """A 63-bit seed that depends on all `parts` and on nothing else.

    The parts name the stream (run seed, encoder, pass, shard, ...). Hashing them makes streams independent of each
    other and of the order of the jobs, so a single shard that is rebuilt has the same bytes as before.
    """
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
