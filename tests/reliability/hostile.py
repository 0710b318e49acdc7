"""Ways in which a file goes bad: cut short, bits flipped, bytes put in, another encoding."""

from __future__ import annotations

import gzip
import random

from hypothesis import strategies as st

GARBAGE = (
    *(b"\x00", b"\xff\xfe", b'"', b"'", b",", b"\n", b"[", b"]", b"{", b"}", b"<", b"&", b"-"),
    *(b"9" * 400, b"1e999", b"nan"),
)
"""Bytes that parsers stumble over."""
ENCODINGS = ("utf-16", "utf-32", "cp037")


def _cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content))] if content else content


def _flip(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice((1, 2, 8, 64))):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _insert(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content))
    return content[:at] + chance.choice(GARBAGE) + content[at:]


def _drop(content: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(content))
    return content[:start] + content[start + chance.randrange(1, 40) :]


def _repeat(content: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(content))
    end = start + chance.randrange(1, 200)
    return content[:end] + content[start:end] + content[end:]


def _recode(content: bytes, chance: random.Random) -> bytes:
    return content.decode("latin-1").encode(chance.choice(ENCODINGS), errors="replace")


WAYS = (_cut, _flip, _insert, _drop, _repeat, _recode)


def spoilt(content: bytes, seed: int, ways: int = 1) -> bytes:
    """``content`` gone bad in ``ways`` ways, the same for the same seed."""
    chance = random.Random(seed)
    for _ in range(ways):
        content = chance.choice(WAYS)(content, chance) if content else content
    return content


def spoilt_file(content: bytes, seed: int, ways: int = 1) -> bytes:
    """As ``spoilt``; of a gzip file sometimes the container, mostly what is inside."""
    if content[:2] == b"\x1f\x8b" and seed % 4:
        return gzip.compress(spoilt(gzip.decompress(content), seed, ways), mtime=0)
    return spoilt(content, seed, ways)


seeds = st.integers(0, 2**32 - 1)
"""One hostile variant each."""
