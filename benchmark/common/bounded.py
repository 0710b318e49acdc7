"""Read a file of a release whole, unpacked, and never more of it than such a file holds.

A gzip file of ten megabytes can unpack to ten gigabytes, and a table of commas takes fifty times its size once it is
parsed: either would end the process without a word. So bytes and cells are counted before a parser sees them. The
largest published table, PadChest's, has 99 MB and 7 million cells.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from benchmark.common.errors import UserError

LARGEST_TABLE = 512 << 20
"""Bytes of a table or an archive of reports, unpacked."""
LARGEST_REPORT = 1 << 20
"""Bytes of one report; the longest published ones have some thousands."""
MOST_CELLS = 40_000_000
"""Separators in a table."""
PACKED: dict[bytes, Callable[[BinaryIO], io.BufferedIOBase]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ": lzma.LZMAFile,
}
"""First bytes of a packed file -> what unpacks it; names lie (browsers unpack a download and keep its ``.gz``)."""

UNREADABLE = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError)
"""What is raised for a file that is cut short, spoilt, of another kind, a folder, or not to be read by this user."""


def content(path: Path, largest: int = LARGEST_TABLE) -> bytes:
    """The bytes of a file, unpacked where it is packed.

    Raises:
        UserError: there are more than ``largest``.
        UNREADABLE: it cannot be read.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):  # to open a named pipe would wait for ever
        raise OSError("it is not a regular file")
    with open(path, "rb") as file:
        start = file.read(max(map(len, PACKED)))
        file.seek(0)
        opener = next((opener for mark, opener in PACKED.items() if start.startswith(mark)), None)
        with opener(file) if opener else file as unpacked:
            held = unpacked.read(largest + 1)
    if len(held) > largest:
        raise UserError(
            f"{path} holds more than {largest >> 20} MiB{' once unpacked' if opener else ''}, several times what any "
            "published one holds; replace it by the published file."
        )
    return held


def table(path: Path, separators: bytes = b",\n\r") -> bytes:
    """The bytes of a table whose cells are few enough to be parsed.

    Args:
        path: the file.
        separators: the bytes of which each ends or begins a value.

    Raises:
        UserError: it has too many bytes or cells.
    """
    held = content(path)
    cells = sum(held.count(separator) for separator in separators)
    if cells > MOST_CELLS:
        raise UserError(
            f"{path} holds {cells:,} values, several times what any published one holds; "
            "replace it by the published file."
        )
    return held


def unreadable(path: Path, kind: str, error: BaseException) -> UserError:
    """The sentence for a file that its reader gave up on."""
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return UserError(f"{path} cannot be read as {kind} ({reason}); download it again.")
