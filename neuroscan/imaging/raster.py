"""JPEG and PNG pixels to gray, through Pillow."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from neuroscan.contracts.enums import ImageFormat
from neuroscan.contracts.problems import BadImage
from neuroscan.imaging.intensity import window_to_uint8
from neuroscan.imaging.slice import GrayPixels


@dataclass(frozen=True)
class CleanRaster:
    """A JPEG or PNG file without metadata, and how many frames it has."""

    content: bytes
    frames: int = 1


def raster_pixels(raster: CleanRaster, image_format: ImageFormat, frame: int) -> GrayPixels:
    """Gray pixels uint8 (H, W) of a frame, after EXIF orientation.

    Color by luma (ITU-R BT.601), transparency over black. 16-bit gray is windowed as DICOM is,
    since its numbers seldom use the whole range. Raises `BadImage` and Pillow's own errors.
    """
    with Image.open(io.BytesIO(raster.content), formats=[image_format.value.upper()]) as image:
        if frame:
            image.seek(frame)
        image.load()
        upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):
        return window_to_uint8(np.asarray(upright))
    if upright.has_transparency_data:
        colored = upright.convert("RGBA")
        black = Image.new("RGBA", colored.size, (0, 0, 0, 255))
        upright = Image.alpha_composite(black, colored).convert("RGB")
    elif upright.mode not in ("L", "1"):
        upright = upright.convert("RGB")
    pixels = np.array(upright.convert("L"), dtype=np.uint8)
    if pixels.ndim != 2:
        raise BadImage
    return pixels
