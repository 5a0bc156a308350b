"""The stored `slice.png` back to pixels, for the services that never see an upload."""

import io

import numpy as np
from PIL import Image, UnidentifiedImageError

from neuroscan.contracts.problems import (
    MAX_PIXELS,
    MAX_SIDE_PX,
    ImageTooLarge,
    NotAnImage,
    TruncatedImage,
)
from neuroscan.imaging.slice import GrayPixels


def read_slice_png(content: bytes) -> GrayPixels:
    """Gray pixels uint8 (H, W) of an 8-bit PNG; color becomes luma (ITU-R BT.601).

    Raises `NotAnImage`, `ImageTooLarge` (from the header, before decoding) and `TruncatedImage`.
    """
    try:
        image = Image.open(io.BytesIO(content), formats=["PNG"])
    except Image.DecompressionBombError as error:
        raise ImageTooLarge from error
    except UnidentifiedImageError as error:
        raise NotAnImage("This is no PNG picture. Send the slice as an 8-bit PNG.") from error
    with image:
        if image.width * image.height > MAX_PIXELS or max(image.size) > MAX_SIDE_PX:
            raise ImageTooLarge
        if image.mode.startswith(("I", "F")):
            raise NotAnImage("This PNG has 16 bits a pixel. Send the slice as an 8-bit PNG.")
        try:
            return np.array(image.convert("L"), dtype=np.uint8)
        except (OSError, SyntaxError, ValueError) as error:
            raise TruncatedImage from error
