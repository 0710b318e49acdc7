"""An image file -> an 8-bit grey array -> a padded square.

Three decode policies. ``published``: what the OFF-CLIP script does (DICOM: clip at zero, divide by the maximum,
truncate; no inversion, no window). ``faithful``: what a radiologist would see (rescale, window, MONOCHROME1
inverted; 16-bit images stretched over their own range). ``draft``: as ``faithful``, but a JPEG is decoded at the
smallest scale (1/2, 1/4, 1/8) that still covers the square, which is several times faster and slightly smoother.
"""

from __future__ import annotations

import enum
import math
from collections.abc import MutableSequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmark.common.placement import placed

Gray = NDArray[np.uint8]
Policy = Literal["published", "faithful", "draft"]
DICOM_SUFFIXES = (".dicom", ".dcm")
FORMATS = ("PNG", "JPEG")
"""Pillow would open a dozen more by their first bytes, some of them with other programs."""
MOST_BYTES = 1 << 30
"""A DICOM file is read whole."""
MOST_PIXELS = 100_000_000
"""No radiograph has more (the largest have 30 million); a file that says so would fill the memory."""


FLAT_SHARE, FLAT_STEPS = 0.99, 2
"""An image is flat when so much of it lies within so many grey levels of its median."""


class UnreadableImage(Exception):
    """The file is missing, truncated or not an image; the text is the reason."""


class Remark(enum.IntFlag):
    """What is remarkable in an image that could be decoded."""

    NONE = 0
    OWN_RANGE = 1
    """A window or rescale tag that is there says nothing: the image's own range is shown."""
    FLAT = 2
    """(Nearly) one grey everywhere."""


REMARKS = {
    Remark.OWN_RANGE: "a window or rescale tag that says nothing: shown over its own range",
    Remark.FLAT: "(nearly) one grey everywhere",
}


class Decoded(NamedTuple):
    """An image in its square."""

    image: Gray
    """uint8 (size, size)."""
    height: int
    """Of the original, pixels."""
    width: int
    remarks: Remark


def load(path: Path, policy: Policy, size: int) -> tuple[Gray, int, int]:
    """``read`` without its remarks: the square, height and width."""
    return read(path, policy, size)[:3]


def read(path: Path, policy: Policy, size: int) -> Decoded:
    """Decode an image and fit it into a square.

    Args:
        path: DICOM, PNG (8 or 16 bit) or JPEG.
        policy: see the module's header.
        size: side of the square, pixels.

    Raises:
        UnreadableImage: the file cannot be decoded to its last row.
    """
    remarks = Remark.NONE
    try:
        if path.suffix.lower() in DICOM_SUFFIXES:
            gray, remarks = _dicom(path, policy)
            height, width = gray.shape
        else:
            gray, height, width = decode_image(path, policy, size)
    except FileNotFoundError:
        raise UnreadableImage("not on disk") from None
    except Exception as error:
        # Decoders raise whatever they like (struct.error, SyntaxError, AttributeError, RuntimeError ...).
        # They name the file in full; whose image it is stays with who asked for it.
        reason = " ".join(str(error).replace(str(path), "the file").split())[:120]
        raise UnreadableImage(f"cannot be decoded: {reason or type(error).__name__}") from error
    square = fit(gray, size, (height, width))
    return Decoded(square, height, width, remarks | (Remark.FLAT if is_flat(square, height, width) else Remark.NONE))


def is_flat(square: Gray, height: int, width: int) -> bool:
    """Whether the image inside a square (see ``fit``) has (nearly) one grey, whatever the reason."""
    inner_height, inner_width, top, left = placed(height, width, square.shape[0])
    inner = square[top : top + inner_height, left : left + inner_width].astype(np.int16)
    return bool(np.mean(np.abs(inner - np.median(inner)) <= FLAT_STEPS) >= FLAT_SHARE)


def fit(gray: Gray, size: int, original: tuple[int, int] | None = None) -> Gray:
    """Scale into a square with area interpolation, centred on zeros (see ``placed``).

    Args:
        gray: uint8 (h, w).
        size: side of the square.
        original: height and width that set the shape where ``gray`` is a reduced decoding of the original.

    Returns:
        uint8 (size, size).
    """
    import cv2

    full_height, full_width = original or (gray.shape[0], gray.shape[1])
    height, width, top, left = placed(full_height, full_width, size)
    if gray.shape != (height, width):
        gray = np.asarray(cv2.resize(gray, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    square = np.zeros((size, size), dtype=np.uint8)
    square[top : top + height, left : left + width] = gray
    return square


def decode_image(path: Path, policy: Policy, size: int) -> tuple[Gray, int, int]:
    """Decode a PNG or JPEG; 16-bit greys become 8-bit. Returns the array and the original height and width."""
    # Pillow, not OpenCV: OpenCV returns a truncated file as a half-grey image without an error.
    from PIL import Image

    with Image.open(path, formats=FORMATS) as image:
        width, height = image.size
        _check_size(height, width)
        if policy == "draft" and image.format == "JPEG":
            image.draft("L", (size, size))
        if image.mode.startswith("I"):
            return to_8_bit(np.asarray(image), policy), height, width
        return np.asarray(image if image.mode == "L" else image.convert("L")), height, width


def _check_size(height: int, width: int) -> None:
    """Refuse what a header claims before anything of that size is allocated."""
    if height * width > MOST_PIXELS:
        raise ValueError(f"its header says {height} x {width} pixels, more than any radiograph has")


def to_8_bit(values: NDArray[Any], policy: Policy) -> Gray:
    """16-bit greys as 8 bits.

    ``published`` keeps the high byte, as OpenCV's 8-bit reading of a 16-bit PNG does; otherwise the image's own range
    is stretched over 0..255 (PadChest's PNGs hold 10 to 16 significant bits, unmarked).
    """
    if policy == "published":
        return (values.astype(np.uint16, copy=False) >> 8).astype(np.uint8)
    low, high = int(values.min()), int(values.max())
    return _shown(values, low, _stretched(np.arange(low, high + 1, dtype=np.float64)))


def _stretched(displayed: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values moved onto 0..1 by their own range; a flat image is black."""
    low, high = float(displayed.min()), float(displayed.max())
    return (displayed - low) / (high - low) if high > low else np.zeros_like(displayed)


def _shown(stored: NDArray[Any], first: int, shades: NDArray[np.float64]) -> Gray:
    """Look stored integers up: ``first`` + k is shown as ``shades[k]`` (0..1); exact, and faster than arithmetic."""
    table = np.round(shades * 255.0).astype(np.uint8)
    return np.take(table, stored if first == 0 else stored.astype(np.int32) - first)


def decode_dicom(path: Path, policy: Policy) -> Gray:
    """Decode a single-frame grey DICOM file of any transfer syntax that pydicom's plugins know (see ``_dicom``)."""
    return _dicom(path, policy)[0]


def _dicom(path: Path, policy: Policy) -> tuple[Gray, Remark]:
    """Decode a single-frame grey DICOM file, and say whether its window or rescale could not be used.

    Raises:
        ValueError: colour, several frames, more than 16 bits, pixel data shorter than rows x columns, or a deflated
            data set, which pydicom would unpack whatever its size.
    """
    import pydicom
    from pydicom.filereader import read_file_meta_info
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    from benchmark.cohort.decoding import jpeg  # noqa: F401  registers a decoder

    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"it has {path.stat().st_size:,} bytes, more than any radiograph")
    if read_file_meta_info(path).get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        raise ValueError("its data set is deflated, which no radiograph of these releases is")
    dataset = pydicom.dcmread(path)
    _check_size(int(dataset.Rows), int(dataset.Columns) * int(dataset.get("NumberOfFrames") or 1))
    stored = dataset.pixel_array
    if stored.ndim != 2:
        raise ValueError(f"expected one grey frame, found an array of shape {stored.shape}")
    if stored.dtype.kind not in "iu" or stored.dtype.itemsize > 2:  # shades are looked up by value
        raise ValueError(f"expected integers of at most 16 bits, found {stored.dtype}")
    if policy == "published":
        return published_display(stored), Remark.NONE
    unusable = without_unusable(dataset)
    return faithful_display(stored, dataset), Remark.OWN_RANGE if unusable else Remark.NONE


def published_display(stored: NDArray[Any]) -> Gray:
    """The released script's DICOM branch: clip at 0, divide by the maximum, times 255, truncate.

    Neither rescale nor window nor MONOCHROME1 is respected, so an inverted image stays inverted.
    """
    peak = max(int(stored.max()), 1)
    return np.take((np.arange(peak + 1) / peak * 255.0).astype(np.uint8), np.maximum(stored, 0))


def without_unusable(dataset: Any) -> list[str]:
    """Remove display attributes that say nothing, and return their names.

    DICOM PS3.3 C.11.2.1.2: centre and width stand together and a width is at least 1 (above 0 for the functions
    LINEAR_EXACT and SIGMOID); C.11.1: slope and intercept stand together. A tag that is there but empty, a centre
    without a width and a slope of 0 give one grey everywhere, or an error: without the tag the image's range is shown.
    """
    removed: list[str] = []

    def drop(*names: str) -> None:
        for name in names:
            if name in dataset:
                removed.append(name)
                del dataset[name]

    for table in ("VOILUTSequence", "ModalityLUTSequence"):
        if table in dataset and not dataset[table].value:
            drop(table)
    centre, width = (_first(dataset, name) for name in ("WindowCenter", "WindowWidth"))
    exact = dataset.get("VOILUTFunction") in ("LINEAR_EXACT", "SIGMOID")
    if centre is None or width is None or not (width > 0 if exact else width >= 1):
        drop("WindowCenter", "WindowWidth")
    slope, intercept = (_first(dataset, name) for name in ("RescaleSlope", "RescaleIntercept"))
    if slope is None or intercept is None or slope == 0:
        drop("RescaleSlope", "RescaleIntercept")
    return removed


def _first(dataset: Any, name: str) -> float | None:
    """The first value of an attribute; None where it is absent, empty or no finite number."""
    value = dataset.get(name)
    first = next(iter(value), None) if isinstance(value, (list, tuple, MutableSequence)) else value
    try:
        number = float(first) if first is not None else math.nan
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def faithful_display(stored: NDArray[Any], dataset: Any) -> Gray:
    """Stored values as displayed: modality LUT or rescale, first VOI LUT or window, MONOCHROME1 inverted.

    DICOM PS3.3 C.11. A window maps onto its own output range, so an image darker than its window stays dark; without
    one the image's range is stretched.
    """
    from pydicom.pixels import apply_modality_lut, apply_voi_lut

    low, high = int(stored.min()), int(stored.max())
    values = np.arange(low, high + 1, dtype=np.int32)
    displayed = np.asarray(apply_voi_lut(apply_modality_lut(values, dataset), dataset), dtype=np.float64)
    if "WindowWidth" in dataset and "VOILUTSequence" not in dataset:
        with np.errstate(over="ignore"):  # a sigmoid's tail
            black, white = np.asarray(apply_voi_lut(np.array([-1e9, 1e9]), dataset), dtype=np.float64)
        shades = np.clip((displayed - black) / (white - black), 0.0, 1.0)
    else:
        shades = _stretched(displayed)
    inverted = dataset.get("PhotometricInterpretation") == "MONOCHROME1"
    return _shown(stored, low, 1.0 - shades if inverted else shades)
