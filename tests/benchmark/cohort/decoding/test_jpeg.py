"""JPEG-compressed DICOM against another decoder's results and against what was encoded."""

from __future__ import annotations

import hashlib
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom import uid
from pydicom.data import get_testdata_file

from benchmark.cohort.decoding import decode, jpeg
from benchmark.cohort.decoding.decode import UnreadableImage
from tests.benchmark.cohort import miniatures

STORED = miniatures.gradient(100, 80, 4095, bright=1.0)
DECODED = {
    "JPGLosslessP14SV1_1s_1f_8b.dcm": "566b6fa1cbffda6c",
    "JPEG-LL.dcm": "b364d556a70a0ed9",
    "bad_sequence.dcm": "f763169c67cba6ca",
    "MR_small_jpeg_ls_lossless.dcm": "b8d9a6cee6ff2ea9",
    "JPEGLSNearLossless_16.dcm": "1d1ea445c998e392",
}
"""pydicom's sample -> first digits of the SHA-256 of its values (little-endian int32) as pylibjpeg-libjpeg 2.5 decodes
them."""


@pytest.mark.parametrize("name", DECODED)
def test_samples_decode_to_the_values_of_another_decoder(name: str) -> None:
    dataset = pydicom.dcmread(get_testdata_file(name))
    assert jpeg.is_available(dataset.file_meta.TransferSyntaxUID)
    values = dataset.pixel_array
    assert hashlib.sha256(values.astype("<i4").tobytes()).hexdigest().startswith(DECODED[name])


@pytest.mark.parametrize("policy", ["faithful", "published"])
@pytest.mark.parametrize(
    ("syntax", "encode"),
    [(uid.JPEGLossless, imagecodecs.ljpeg_encode), (uid.JPEGLSLossless, imagecodecs.jpegls_encode)],
    ids=["lossless JPEG", "JPEG-LS"],
)
def test_a_compressed_radiograph_is_the_uncompressed_one(tmp_path: Path, syntax, encode, policy) -> None:
    miniatures.dicom(tmp_path / "plain.dicom", STORED)
    miniatures.encapsulated(tmp_path / "small.dicom", STORED, syntax, encode(STORED.astype(np.uint16)))
    plain, small = (decode.decode_dicom(tmp_path / f"{name}.dicom", policy) for name in ("plain", "small"))
    np.testing.assert_array_equal(plain, small)


def test_a_stream_of_another_size_than_the_header_says_is_left_out(tmp_path: Path) -> None:
    stream = imagecodecs.ljpeg_encode(np.zeros((20, 30), dtype=np.uint16))
    miniatures.encapsulated(tmp_path / "a.dicom", STORED, uid.JPEGLossless, stream)
    with pytest.raises(UnreadableImage):
        decode.load(tmp_path / "a.dicom", "faithful", 32)
