"""Damaged copies of files: changed bytes, cuts, repeated and exchanged parts, and texts that parsers dread."""

import random

TOKENS = (
    b"\0",
    b"\xff\xfe",
    b'"',
    b"\\ud800",
    b"../../../../tmp/stolen",
    b"/etc/passwd",
    b"./",
    b"a/" * 200,
    b"x" * 300,
    b"9" * 5000,
    b"[" * 20_000,
    b"-1",
    b"1e999",
    b"NaN",
    b"null",
    b"NA",
    b"{}",
    b"[]",
    b"|",
    b"\t",
    b"\n",
    b",",
    "é\u2028".encode(),
    b"\x7f\xff\xff\xff",
    b"\xff" * 8,
)
"""Texts and numbers that are inserted or replace others of the same length."""


def mutate(content: bytes, rng: random.Random) -> bytes:
    """Return a copy of a file with one to three changes."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        content = _mutate_once(content, rng)
    return content


def _mutate_once(content: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(content) + 1)
    end = min(len(content), start + rng.choice((1, 1, 2, 4, 8, 64, 512)))
    before, span, after = content[:start], content[start:end], content[end:]
    token = rng.choice(TOKENS)
    other = rng.randrange(len(content) + 1)
    return rng.choice(
        (
            lambda: before + bytes(byte ^ (1 << rng.randrange(8)) for byte in span[:1]) + span[1:] + after,
            lambda: before + rng.randbytes(len(span)) + after,
            lambda: before + bytes(len(span)) + after,
            lambda: before,
            lambda: before + after,
            lambda: before + span + span + after,
            lambda: before + token + span + after,
            lambda: before + token + content[start + len(token) :],
            lambda: before + content[other : other + len(span)] + after,
        )
    )()
