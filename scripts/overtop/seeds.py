"""Where every random stream of a run starts."""

import hashlib


def derive_seed(*parts: object) -> int:
    """A 63-bit seed that depends on all `parts` and on nothing else.

    Hashing the words that name a stream (run seed, encoder, pass, shard, ...) makes streams independent of
    each other and of the order of the jobs, so that one shard rebuilt alone has the same bytes.
    """
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
