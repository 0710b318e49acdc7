"""JPEG-compressed DICOM by libjpeg-turbo and CharLS, as a decoding plugin of pydicom.

Of what pydicom finds by itself for lossless JPEG, pylibjpeg-libjpeg is GPL-3.0 and GDCM ends the process on some
damaged files. imagecodecs is BSD-licensed and carries both libraries. Source of the interface: pydicom's guide
"Decoder plugins". Importing this module registers it.
"""

from __future__ import annotations

import numpy as np
from pydicom import uid
from pydicom.pixels import get_decoder
from pydicom.pixels.decoders.base import DecodeRunner

DECODER_DEPENDENCIES = dict.fromkeys(
    (
        uid.JPEGExtended12Bit,
        uid.JPEGLossless,
        uid.JPEGLosslessSV1,
        uid.JPEGLSLossless,
        uid.JPEGLSNearLossless,
    ),
    ("imagecodecs",),
)
"""Transfer syntax -> packages it needs."""


def is_available(syntax: str) -> bool:
    """Whether frames of a transfer syntax can be decoded here."""
    return syntax in DECODER_DEPENDENCIES


def decode_frame(source: bytes, runner: DecodeRunner) -> bytes:
    """One frame's stored values, in the machine's byte order.

    Args:
        source: the frame's JPEG or JPEG-LS stream.
        runner: what the file's header says of it; its ``bits_allocated`` is set to the width returned.

    Raises:
        ValueError: the stream's own size is not the header's (nothing of the stream's size is allocated).
        RuntimeError: the stream is damaged.
    """
    import imagecodecs

    shape = (runner.rows, runner.columns, runner.samples_per_pixel)
    values = np.empty(shape[:2] if shape[2] == 1 else shape, dtype=np.uint8 if runner.bits_stored <= 8 else np.uint16)
    is_jpeg_ls = runner.transfer_syntax in uid.JPEGLSTransferSyntaxes
    (imagecodecs.jpegls_decode if is_jpeg_ls else imagecodecs.jpeg8_decode)(source, out=values)
    runner.set_option("bits_allocated", 8 * values.itemsize)
    runner.set_option("planar_configuration", 0)
    return values.tobytes()


for _syntax in DECODER_DEPENDENCIES:
    get_decoder(_syntax).add_plugin("imagecodecs", (__name__, "decode_frame"))
