"""Images against independent references: the published arrays, pydicom's own pixel pipeline, other codecs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.sequence import Sequence
from pydicom.uid import JPEG2000Lossless, RLELossless

from benchmark.cohort.decoding import decode
from benchmark.cohort.decoding.decode import UnreadableImage
from tests import parity as published
from tests.benchmark.cohort import miniatures

STORED = miniatures.gradient(100, 80, 4095, bright=1.0)


@pytest.fixture(scope="module")
def parity() -> dict[str, np.ndarray]:
    if not published.FOLDER.is_dir():
        pytest.skip(published.ABSENT)
    with np.load(published.FOLDER / "preprocess.npz") as arrays:
        return dict(arrays)


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    path = tmp_path / "reference.dicom"
    miniatures.dicom(path, STORED)
    return path


@pytest.mark.parametrize("case", range(5))
def test_fit_agrees_with_the_published_preprocessing(parity: dict[str, np.ndarray], case: int) -> None:
    ours = decode.fit(parity[f"in_{case}"], 256)
    assert np.abs(ours.astype(int) - parity[f"resized_{case}"]).max() <= 1


def test_published_policy_agrees_with_the_published_dicom_branch(parity: dict[str, np.ndarray]) -> None:
    np.testing.assert_array_equal(decode.published_display(parity["dicom_in"]), parity["dicom_u8"])


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(16, 512))
def test_a_placed_image_fills_the_square_and_is_centred(height: int, width: int, size: int) -> None:
    inner_height, inner_width, top, left = decode.placed(height, width, size)
    assert max(inner_height, inner_width) == size or min(height, width) == max(height, width)
    assert 1 <= inner_height <= size
    assert 1 <= inner_width <= size
    assert 0 <= size - inner_height - 2 * top <= 1
    assert 0 <= size - inner_width - 2 * left <= 1


def test_padding_is_black_and_proportions_are_kept() -> None:
    square = decode.fit(np.full((200, 100), 77, dtype=np.uint8), 64)
    assert (square[:, 16:48] == 77).all()
    assert not square[:, :16].any()
    assert not square[:, 48:].any()


def shades(path: Path, policy: decode.Policy = "faithful") -> np.ndarray:
    return decode.decode_dicom(path, policy).astype(int)


@pytest.mark.parametrize(
    "elements",
    [
        {},
        {"WindowCenter": 2047.5, "WindowWidth": 4096},
        {"WindowCenter": 1000, "WindowWidth": 500},
        {"WindowCenter": [1500, 100], "WindowWidth": [3000, 50]},
        {"RescaleSlope": 2, "RescaleIntercept": -1024, "WindowCenter": 1500, "WindowWidth": 2000},
        {"WindowCenter": 2000, "WindowWidth": 1000, "VOILUTFunction": "SIGMOID"},
        {"WindowCenter": 2000, "WindowWidth": 1000, "VOILUTFunction": "LINEAR_EXACT"},
    ],
    ids=["no window", "whole range", "narrow window", "first of two", "rescale", "sigmoid", "linear exact"],
)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_faithful_shows_what_pydicom_computes_pixel_by_pixel(
    tmp_path: Path, elements: dict[str, object], photometric: str
) -> None:
    path = tmp_path / "a.dicom"
    miniatures.dicom(path, STORED, photometric, **elements)
    dataset = pydicom.dcmread(path)
    values = apply_voi_lut(apply_modality_lut(STORED, dataset), dataset).astype(float)
    if "WindowWidth" in elements:  # a window's output spans the range of the rescaled stored values
        slope, intercept = float(elements.get("RescaleSlope", 1)), float(elements.get("RescaleIntercept", 0))
        low, high = intercept, 4095 * slope + intercept
    else:
        low, high = values.min(), values.max()
    expected = np.clip((values - low) / (high - low), 0, 1) * 255
    if photometric == "MONOCHROME1":
        expected = 255 - expected
    assert np.abs(shades(path) - expected).max() <= 0.51


UNUSABLE = {
    "an empty window": {"WindowCenter": None, "WindowWidth": None},
    "an empty width": {"WindowCenter": 2000, "WindowWidth": None},
    "a centre without a width": {"WindowCenter": 2000},
    "a width without a centre": {"WindowWidth": 2000},
    "width 0": {"WindowCenter": 2000, "WindowWidth": 0},
    "width 0 first of two": {"WindowCenter": [2000, 1000], "WindowWidth": [0, 500]},
    "width 0.5 of a linear window": {"WindowCenter": 2000, "WindowWidth": 0.5},
    "width 0 of an exact window": {"WindowCenter": 2000, "WindowWidth": 0, "VOILUTFunction": "LINEAR_EXACT"},
    "an empty slope": {"RescaleSlope": None, "RescaleIntercept": -1024},
    "slope 0": {"RescaleSlope": 0, "RescaleIntercept": -1024},
    "an empty table": {"VOILUTSequence": Sequence([])},
}


@pytest.mark.parametrize("policy", ["faithful", "draft"])
@pytest.mark.parametrize("elements", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_a_tag_that_says_nothing_leaves_the_images_own_range(
    tmp_path: Path, reference: Path, elements: dict[str, object], policy: decode.Policy
) -> None:
    """DICOM PS3.3 C.11.2.1.2: without a usable window the range of the data is shown."""
    path = tmp_path / "image.dicom"
    miniatures.dicom(path, STORED, **elements)
    found = decode.read(path, policy, 32)
    assert found.remarks == decode.Remark.OWN_RANGE
    np.testing.assert_array_equal(found.image, decode.load(reference, policy, 32)[0])


def test_an_exact_window_may_be_narrower_than_one(tmp_path: Path) -> None:
    path = tmp_path / "image.dicom"
    miniatures.dicom(path, STORED, WindowCenter=1000, WindowWidth=0.5, VOILUTFunction="LINEAR_EXACT")
    assert decode.read(path, "faithful", 32).remarks == decode.Remark.NONE


@pytest.mark.parametrize("policy", ["published", "faithful", "draft"])
def test_an_image_of_nearly_one_grey_is_flagged_whatever_the_reason(tmp_path: Path, policy: decode.Policy) -> None:
    flat, window, white = (tmp_path / name for name in ("flat.png", "window.dicom", "white.jpg"))
    Image.fromarray(np.full((50, 40), 9, np.uint8)).save(flat)
    values = np.full((50, 400), 255, np.uint8)
    values[0, 0] = 0  # one pixel of twenty thousand
    Image.fromarray(values).save(white)
    miniatures.dicom(window, STORED, WindowCenter=60_000, WindowWidth=10)
    assert decode.read(flat, policy, 32).remarks == decode.Remark.FLAT
    assert decode.read(white, policy, 32).remarks == decode.Remark.FLAT  # its padding does not count
    assert bool(decode.read(window, policy, 32).remarks & decode.Remark.FLAT) is (policy != "published")


def test_a_voi_table_wins_over_a_window(tmp_path: Path) -> None:
    table = Dataset()
    table.LUTDescriptor = [4096, 0, 16]
    table.LUTData = np.sqrt(np.arange(4096)).round().astype("<u2").tobytes()
    path = tmp_path / "a.dicom"
    miniatures.dicom(path, STORED, VOILUTSequence=Sequence([table]), WindowCenter=100, WindowWidth=10)
    expected = np.sqrt(STORED.astype(float)).round()
    assert np.abs(shades(path) - (expected - expected.min()) / (expected.max() - expected.min()) * 255).max() <= 0.51


def test_a_modality_table_is_applied(tmp_path: Path) -> None:
    table = Dataset()
    table.LUTDescriptor = [4096, 0, 16]
    table.LUTData = np.arange(4096)[::-1].astype("<u2").tobytes()
    table.ModalityLUTType = "US"
    path = tmp_path / "a.dicom"
    miniatures.dicom(path, STORED, ModalityLUTSequence=Sequence([table]))
    assert np.abs(shades(path) - (1 - STORED / STORED.max()) * 255).max() <= 0.51


def test_an_inverted_image_looks_like_its_twin_only_when_faithful(tmp_path: Path, reference: Path) -> None:
    inverted = tmp_path / "inverted.dicom"
    miniatures.dicom(inverted, STORED.max() - STORED, "MONOCHROME1")
    np.testing.assert_array_equal(shades(inverted), shades(reference))
    assert np.corrcoef(shades(inverted, "published").ravel(), shades(reference, "published").ravel())[0, 1] < -0.99


def test_published_ignores_window_and_rescale(tmp_path: Path, reference: Path) -> None:
    windowed = tmp_path / "windowed.dicom"
    miniatures.dicom(windowed, STORED, WindowCenter=100, WindowWidth=10, RescaleSlope=3, RescaleIntercept=-7)
    np.testing.assert_array_equal(shades(windowed, "published"), shades(reference, "published"))
    np.testing.assert_array_equal(shades(reference, "published"), (STORED / STORED.max() * 255).astype(int))


def test_signed_values_are_read(tmp_path: Path, reference: Path) -> None:
    path = tmp_path / "signed.dicom"
    miniatures.dicom(path, STORED.astype(np.int16) - 2000)
    np.testing.assert_array_equal(shades(path), shades(reference))
    assert (shades(path, "published")[STORED < 2000] == 0).all()


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless], ids=["RLE", "JPEG 2000"])
@pytest.mark.parametrize("policy", ["published", "faithful"])
def test_compression_changes_nothing(tmp_path: Path, reference: Path, syntax: str, policy: decode.Policy) -> None:
    dataset = pydicom.dcmread(reference)
    dataset.compress(syntax)
    path = tmp_path / "compressed.dicom"
    dataset.save_as(path)
    np.testing.assert_array_equal(shades(path, policy), shades(reference, policy))


def test_jpeg_lossless_is_decoded() -> None:
    path = Path(str(get_testdata_file("JPGLosslessP14SV1_1s_1f_8b.dcm", download=False) or "absent"))
    if not path.is_file():
        pytest.skip("pydicom-data is not installed")
    gray = decode.decode_dicom(path, "published")
    stored = pydicom.dcmread(path).pixel_array
    assert gray.shape == (768, 1024)
    np.testing.assert_array_equal(gray, stored)  # its maximum is 255, so the published policy changes nothing


@pytest.mark.parametrize("twin", ["RG1_J2KI.dcm", "RG1_J2KR.dcm", "RG1_UNCR.dcm"])
def test_a_real_chest_radiograph_and_its_copies_look_alike(twin: str) -> None:
    found = [get_testdata_file(name, download=False) for name in ("RG1_UNCI.dcm", twin)]
    if None in found:
        pytest.skip("pydicom-data is not installed")
    original, copy = (decode.load(Path(str(path)), "faithful", 256) for path in found)
    assert original[1:] == copy[1:] == (1955, 1841)
    assert np.abs(original[0].astype(int) - copy[0]).mean() < 2
    # MONOCHROME1: the air around the patient is dark, the mediastinum bright.
    image = original[0]
    assert image[:, 120:136].mean() > image[64:160, 60:90].mean()


def test_16_bit_png_keeps_its_range(tmp_path: Path) -> None:
    miniatures.png(tmp_path / "a.png", 100, 80, 4095, bright=1.0)
    gray, height, width = decode.decode_image(tmp_path / "a.png", "faithful", 64)
    assert (height, width) == (100, 80)
    np.testing.assert_array_equal(gray, np.round(STORED / STORED.max() * 255))
    high_byte, _, _ = decode.decode_image(tmp_path / "a.png", "published", 64)
    np.testing.assert_array_equal(high_byte, STORED >> 8)


def test_colour_images_become_grey(tmp_path: Path) -> None:
    Image.new("RGB", (30, 20), (200, 100, 50)).save(tmp_path / "a.png")
    gray, _, _ = decode.decode_image(tmp_path / "a.png", "faithful", 64)
    assert (gray == round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)).all()


def test_draft_is_close_to_the_full_decoding_and_knows_the_original_size(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (25, 20), dtype=np.uint8)
    Image.fromarray(coarse).resize((2000, 2500), Image.Resampling.BICUBIC).save(tmp_path / "a.jpg", quality=95)
    full, *size = decode.load(tmp_path / "a.jpg", "faithful", 224)
    draft, *draft_size = decode.load(tmp_path / "a.jpg", "draft", 224)
    assert size == draft_size == [2500, 2000]
    difference = np.abs(full.astype(int) - draft)
    assert difference.mean() <= 2
    assert difference.max() <= 16  # of 255, at the steepest edges: the reduced grid is shifted by a part of a pixel


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.dicom"])
@pytest.mark.parametrize("policy", ["published", "faithful", "draft"])
def test_a_truncated_image_is_refused(tmp_path: Path, name: str, policy: decode.Policy) -> None:
    path = tmp_path / name
    writers = {"a.jpg": lambda: miniatures.jpeg(path, 300, 300, 1.0), "a.dicom": lambda: miniatures.dicom(path, STORED)}
    writers.get(name, lambda: miniatures.png(path, 300, 300, 4095, 1.0))()
    decode.load(path, policy, 64)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.7)])
    with pytest.raises(UnreadableImage, match="cannot be decoded"):
        decode.load(path, policy, 64)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.dicom"])
def test_what_is_missing_or_no_image_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnreadableImage, match="not on disk"):
        decode.load(tmp_path / name, "faithful", 64)
    (tmp_path / name).write_text("<html>Access denied</html>")
    with pytest.raises(UnreadableImage, match="cannot be decoded"):
        decode.load(tmp_path / name, "faithful", 64)
