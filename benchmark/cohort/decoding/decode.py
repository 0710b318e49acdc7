"""An image file -> an 8-bit grey array -> a padded square.

Three decode policies. ``published``: what the OFF-CLIP script does (DICOM: clip at zero, divide by the maximum,
truncate; no inversion, no window). ``faithful``: what a radiologist would see (rescale, window, MONOCHROME1
inverted; 16-bit images stretched over their own range). ``draft``: as ``faithful``, but a JPEG is decoded at the
smallest scale (1/2, 1/4, 1/8) that still covers the square, which is several times faster and slightly smoother.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

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


class UnreadableImage(Exception):
    """The file is missing, truncated or not an image; the text is the reason."""


def load(path: Path, policy: Policy, size: int) -> tuple[Gray, int, int]:
    """Decode an image and fit it into a square.

    Args:
        path: DICOM, PNG (8 or 16 bit) or JPEG.
        policy: see the module's header.
        size: side of the square, pixels.

    Returns:
        uint8 array (size, size); height and width of the original in pixels.

    Raises:
        UnreadableImage: the file cannot be decoded to its last row.
    """
    try:
        if path.suffix.lower() in DICOM_SUFFIXES:
            gray = decode_dicom(path, policy)
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
    return fit(gray, size, (height, width)), height, width


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
    """Decode a single-frame grey DICOM file of any transfer syntax that pydicom's plugins know.

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
    return published_display(stored) if policy == "published" else faithful_display(stored, dataset)


def published_display(stored: NDArray[Any]) -> Gray:
    """The released script's DICOM branch: clip at 0, divide by the maximum, times 255, truncate.

    Neither rescale nor window nor MONOCHROME1 is respected, so an inverted image stays inverted.
    """
    peak = max(int(stored.max()), 1)
    return np.take((np.arange(peak + 1) / peak * 255.0).astype(np.uint8), np.maximum(stored, 0))


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
