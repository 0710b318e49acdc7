"""Spoilt images by the hundred, and images that claim a size no radiograph has."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from hypothesis import given
from PIL import Image
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from benchmark.cohort.decoding import decode
from benchmark.cohort.decoding.decode import UnreadableImage
from tests.benchmark.cohort import miniatures
from tests.properties import examples
from tests.reliability import hostile

STORED = miniatures.gradient(60, 50, 4095, bright=1.0)


def compressed(path: Path, syntax: str) -> None:
    miniatures.dicom(path, STORED)
    dataset = pydicom.dcmread(path)
    dataset.compress(syntax)
    dataset.save_as(path)


LOSSLESS, JPEG_LS = imagecodecs.ljpeg_encode(STORED), imagecodecs.jpegls_encode(STORED)
WRITERS: dict[str, Callable[[Path], None]] = {
    "gray.jpg": lambda path: miniatures.jpeg(path, 60, 50, 1.0),
    "gray8.png": lambda path: miniatures.png(path, 60, 50, 255, 1.0),
    "gray16.png": lambda path: miniatures.png(path, 60, 50, 4095, 1.0),
    "colour.png": lambda path: Image.new("RGB", (50, 60), (200, 90, 10)).save(path),
    "plain.dicom": lambda path: miniatures.dicom(path, STORED, WindowCenter=2047.5, WindowWidth=4096),
    "rle.dicom": lambda path: compressed(path, RLELossless),
    "jpeg2000.dicom": lambda path: compressed(path, JPEG2000Lossless),
    "lossless.dicom": lambda path: miniatures.encapsulated(path, STORED, JPEGLosslessSV1, LOSSLESS),
    "jpegls.dicom": lambda path: miniatures.encapsulated(path, STORED, JPEGLSLossless, JPEG_LS),
}
EACH_KIND = pytest.mark.parametrize("name", WRITERS)


@pytest.fixture
def image(name: str, tmp_path: Path) -> Path:
    WRITERS[name](tmp_path / name)
    return tmp_path / name


@EACH_KIND
@pytest.mark.filterwarnings("ignore")
@examples(40)
@given(seed=hostile.seeds)
def test_a_spoilt_image_is_decoded_or_left_out(image: Path, name: str, tried, seed: int) -> None:
    whole = image.with_suffix(".whole")
    if not whole.exists():
        whole.write_bytes(image.read_bytes())
    image.write_bytes(hostile.spoilt(whole.read_bytes(), seed))
    tried(image.name.split(".")[1].upper())
    for policy in ("faithful", "published", "draft"):
        try:
            square, height, width = decode.load(image, policy, 32)
        except UnreadableImage:
            continue
        assert square.shape == (32, 32)
        assert square.dtype == np.uint8
        assert min(height, width) >= 1


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_bomb(path: Path, side: int) -> None:
    """A valid 8-bit grey PNG of zeros, ``side`` x ``side`` pixels, in a thousandth of its size."""
    packer = zlib.compressobj(9)
    row = bytes(side + 1)
    packed = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b""))


def dicom_bomb(path: Path, syntax: str) -> None:
    """A compressed DICOM file that says it holds 65,535 x 65,535 pixels."""
    compressed(path, syntax)
    dataset = pydicom.dcmread(path)
    dataset.Rows = dataset.Columns = 65_535
    dataset.save_as(path)


def stream_bomb(path: Path, syntax: str, stream: bytes, marker: bytes) -> None:
    """A DICOM file of 60 x 50 pixels whose compressed stream says 65,500 x 65,500 after its frame marker."""
    at = stream.index(marker)
    miniatures.encapsulated(
        path, STORED, syntax, stream[: at + 5] + struct.pack(">HH", 65_500, 65_500) + stream[at + 9 :]
    )


def jpeg_bomb(path: Path) -> None:
    """A JPEG whose frame header says 65,500 x 65,500 pixels."""
    miniatures.jpeg(path, 60, 50)
    content = bytearray(path.read_bytes())
    at = content.index(b"\xff\xc0")
    content[at + 5 : at + 9] = struct.pack(">HH", 65_500, 65_500)
    path.write_bytes(content)


def deflated_bomb(path: Path) -> None:
    """A DICOM file of some megabytes whose deflated data set unpacks to eight gigabytes."""
    miniatures.dicom(path, STORED)
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(path)
    begin = 144 + int(pydicom.dcmread(path).file_meta.FileMetaInformationGroupLength)
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    block = packer.compress(bytes(16 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    path.write_bytes(path.read_bytes()[:begin] + block * 512 + packer.flush())


def wide(path: Path) -> None:
    """A DICOM file of 32 bits a pixel, the greatest value among them: a table of its shades would have 16 GiB."""
    values = STORED.astype(np.uint32)
    values[0, 0] = 2**32 - 1
    miniatures.dicom(path, values, BitsAllocated=32, BitsStored=32, HighBit=31)


def sparse(path: Path) -> None:
    """A valid DICOM file that goes on for a terabyte, without room on the disk."""
    miniatures.dicom(path, STORED)
    with open(path, "rb+") as handle:
        handle.truncate(1 << 40)


BOMBS: dict[str, tuple[Callable[[Path], None], str]] = {
    "bomb.png": (lambda path: png_bomb(path, 12_000), "pixels"),
    "bomb.jpg": (jpeg_bomb, "pixels"),
    "rle.dicom": (lambda path: dicom_bomb(path, RLELossless), "pixels"),
    "jpeg2000.dicom": (lambda path: dicom_bomb(path, JPEG2000Lossless), "pixels"),
    # The headers of these two are harmless: it is the decoder that refuses.
    "lossless.dicom": (
        lambda path: stream_bomb(path, JPEGLosslessSV1, LOSSLESS, b"\xff\xc3"),
        "cannot be decoded",
    ),
    "jpegls.dicom": (lambda path: stream_bomb(path, JPEGLSLossless, JPEG_LS, b"\xff\xf7"), "cannot be decoded"),
    "deflated.dicom": (deflated_bomb, "deflated"),
    "wide.dicom": (wide, "at most 16 bits, found uint32"),
    "sparse.dicom": (sparse, "1,099,511,627,776 bytes, more than any radiograph"),
}
"""Name -> how it is written, and what the reason says."""
LOAD = r"""
import re, resource, sys
from pathlib import Path
from benchmark.cohort.decoding import decode
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
for path in sys.argv[1:]:
    try:
        decode.load(Path(path), "faithful", 64)
    except decode.UnreadableImage as reason:
        print(reason)
# Not ru_maxrss: a child starts with its parent's, which here is a whole test session.
print(int(re.search(r'VmHWM:\s+(\d+) kB', Path('/proc/self/status').read_text())[1]) // 1024)
"""


def test_an_image_that_claims_an_impossible_size_is_refused_in_bounded_memory(tmp_path: Path, tried) -> None:
    for name, (write, _) in BOMBS.items():
        write(tmp_path / name)
        tried("decompression bomb")
    paths = [str(tmp_path / name) for name in BOMBS]
    done = subprocess.run([sys.executable, "-c", LOAD, *paths], capture_output=True, text=True, timeout=900, check=True)
    *reasons, megabytes = done.stdout.splitlines()
    assert len(reasons) == len(BOMBS)
    for (_, expected), reason in zip(BOMBS.values(), reasons, strict=True):
        assert expected in reason, reason
    assert int(megabytes) < 600


@pytest.mark.parametrize("kind", ["EPS", "TIFF", "GIF", "BMP", "WEBP"])
def test_what_is_neither_png_nor_jpeg_is_left_out_whatever_its_name(tmp_path: Path, tried, kind: str) -> None:
    """Pillow opens all of these, PostScript by calling an interpreter."""
    Image.new("L", (9, 9)).save(tmp_path / "a.png", format=kind)
    tried("other format")
    with pytest.raises(UnreadableImage, match="cannot identify"):
        decode.load(tmp_path / "a.png", "faithful", 32)
