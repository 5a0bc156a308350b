"""Bounds on what is decoded, and the errors of the libraries that decode."""

import struct
import zlib

from pydicom.errors import InvalidDicomError

from neuroscan.contracts.problems import MAX_PIXELS, MAX_SIDE_PX, ImageTooLarge, ImageTooSmall

MIN_SIDE_PX = 32
MAX_INFLATED_BYTES = 256 * 1024 * 1024
# Far above what a real file has; a file made of tiny parts would take seconds to walk through.
MAX_PARTS = 100_000

# What Pillow, pydicom, numpy and zlib raise on broken files (read in their sources, and found by
# the tests that mutate files). RuntimeError includes RecursionError; ValueError UnicodeError.
DECODER_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    InvalidDicomError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


def check_size(width: int, height: int) -> None:
    """Refuse a size that a header states, in pixels: `ImageTooSmall`, `ImageTooLarge`."""
    if width < MIN_SIDE_PX or height < MIN_SIDE_PX:
        raise ImageTooSmall
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE_PX:
        raise ImageTooLarge
