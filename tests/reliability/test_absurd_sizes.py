"""Tables, reports and archives of absurd size, packed or not: refused in a sentence, in bounded memory and time."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.cohort import tables
from benchmark.common import bounded
from benchmark.common.errors import UserError

HUGE = 12 << 30
"""Bytes that the files below claim, unpacked."""
LIMIT_MEGABYTES = 900
HEADER = b"dicom_id,split\n"
ROWS = b"02aa804e-bde0afdd-112c0b34-7bc16630-4e384014,train\n" * 100_000


def packed(start: bytes, piece: bytes, times: int) -> bytes:
    """gzip of ``start`` and of ``piece`` repeated, without ever holding what it unpacks to."""
    block = gzip.compress(piece * (1 << 20), compresslevel=1)
    return gzip.compress(start) + block * (times >> 20)


def packed_table(path: Path, pack: Callable[[bytes], bytes]) -> None:
    """Concatenated members, as the formats allow: thousands of times smaller than what they unpack to."""
    path.write_bytes(pack(HEADER) + pack(ROWS) * (HUGE // len(ROWS) + 1))


def sparse(path: Path, start: bytes = b"") -> None:
    """A plain file of zeros that takes no room on the disk."""
    with open(path, "wb") as handle:
        handle.write(start)
        handle.truncate(HUGE)


def archive_of_zeros(path: Path) -> None:
    """``.tgz`` with one report of ``HUGE`` bytes."""
    header = tarfile.TarInfo("ecgen-radiology/1.xml")
    header.size = HUGE
    path.write_bytes(packed(header.tobuf(), b"\0", HUGE))


def sparse_archive(path: Path) -> None:
    """A tar archive of one block that says its member is a sparse file of ``HUGE`` bytes (GNU 1.0 format)."""
    header = tarfile.TarInfo("ecgen-radiology/1.xml")
    header.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(HUGE)}
    header.size = 512
    path.write_bytes(gzip.compress(header.tobuf(tarfile.PAX_FORMAT) + b"0\n".ljust(512, b"\0") + bytes(1024)))


FILES: dict[str, Callable[[Path], object]] = {
    "rows.csv.gz": lambda path: packed_table(path, lambda content: gzip.compress(content, mtime=0)),
    "rows.csv.bz2": lambda path: packed_table(path, bz2.compress),
    "rows.csv.xz": lambda path: packed_table(path, lambda content: lzma.compress(content, preset=0)),
    "plain.csv": lambda path: sparse(path, HEADER),
    "columns.csv.gz": lambda path: path.write_bytes(packed(b"", b",", 400 << 20)),
    "header.csv.gz": lambda path: path.write_bytes(packed(HEADER[:-1], b",", 30 << 20)),
    "cells.csv.gz": lambda path: path.write_bytes(packed(HEADER, b",", 400 << 20)),
    "lists.json": lambda path: path.write_bytes(packed(b"[1", b",[]", 100 << 20)),
    "plain.json": lambda path: sparse(path, b"[1]"),
    "report/1.xml": lambda path: sparse(path, b"<eCitation/>"),
    "zeros.tgz": archive_of_zeros,
    "sparse.tgz": sparse_archive,
}
READ = """
import re, resource, sys, time
from pathlib import Path
from benchmark.cohort import tables
from benchmark.materials import open_i_report
from benchmark.common.errors import UserError
READERS = {
    "csv": lambda path: tables.read_table(path, ["dicom_id", "split"]),
    "jso": lambda path: tables.read_json(path, list),
    "xml": lambda path: list(open_i_report.read_reports(path.parent)),
    "tgz": lambda path: list(open_i_report.read_reports(path)),
}
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
for path in map(Path, sys.argv[1:]):
    begin = time.process_time()
    try:
        READERS[path.name.split(".")[1][:3]](path)
    except UserError as error:
        print(f"{time.process_time() - begin:.1f} {error}")
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024)
"""


QUICK = ("rows.csv.gz", "plain.csv", "cells.csv.gz", "report/1.xml", "sparse.tgz")


@pytest.mark.parametrize("names", [QUICK, pytest.param((*FILES,), marks=pytest.mark.chaos)], ids=["some", "all"])
def test_what_unpacks_to_more_than_the_memory_is_refused_before_it_does(
    tmp_path: Path, tried: Callable[[str], None], names: tuple[str, ...]
) -> None:
    (tmp_path / "report").mkdir()
    paths = [tmp_path / name for name in names]
    for path in paths:
        FILES[str(path.relative_to(tmp_path))](path)
        tried("absurd size")
    done = subprocess.run([sys.executable, "-c", READ, *paths], capture_output=True, text=True, timeout=900, check=True)
    *sentences, megabytes = done.stdout.splitlines()
    assert len(sentences) == len(paths), done.stdout
    for path, sentence in zip(paths, sentences, strict=True):
        assert str(path) in sentence
        assert re.search(r"holds more than|values, several times|bytes, expected a report|first row does not", sentence)
        assert float(sentence.split()[0]) < 20, sentence  # seconds of one core
    assert int(megabytes) < LIMIT_MEGABYTES


def test_a_report_of_absurd_size_counts_as_unreadable(tmp_path: Path) -> None:
    from benchmark.cohort.adapters.mimic_reports import Reports

    (tmp_path / "files/p10/p10000032").mkdir(parents=True)
    sparse(tmp_path / "files/p10/p10000032/s50414267.txt", b"FINDINGS: Clear lungs.")
    assert Reports(tmp_path).text("files/p10/p10000032/s50414267/a.jpg") is None


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_a_table_is_read_whatever_its_name_says_of_its_packing(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "mimic-cxr-2.0.0-split.csv.gz"
    path.write_bytes(pack(HEADER + ROWS))
    table = tables.read_table(path, ["split"])
    assert table["split"].tolist() == ["train"] * 100_000


def test_the_limits_lie_far_above_what_is_published(tmp_path: Path) -> None:
    """A table five times as long as the longest published one (MIMIC-CXR's 377,110 images) is read."""
    path = tmp_path / "long.csv"
    path.write_bytes(HEADER + ROWS * (5 * 377_110 // 100_000 + 1))
    assert bounded.table(path).count(b"\n") > 5 * 377_110


def test_exactly_the_limit_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(1000))
    assert bounded.content(tmp_path / "a", 1000) == bytes(1000)
    with pytest.raises(UserError, match=r"a holds more than 0 MiB, several times"):
        bounded.content(tmp_path / "a", 999)
