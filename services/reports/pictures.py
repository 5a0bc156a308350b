"""The three pictures at print size, and what may be said about their sides and scale."""

import base64
from dataclasses import dataclass
from io import BytesIO

from PIL import Image

from neuroscan.contracts.enums import OrientationSource, SpacingSource
from neuroscan.contracts.geometry import Geometry
from neuroscan.contracts.problems import MAX_PIXELS, BadImage, ImageTooLarge
from services.reports.wording import OPPOSITE

MAX_SIDE_PX = 512
SMALL_SIDE_PX = 112
_SMALL_QUALITY = 80
_JPEG_QUALITY = 90
_BARS_MM = (100, 50, 30, 20, 10, 5, 2, 1)


@dataclass(frozen=True)
class Picture:
    """A picture for the page: JPEG as a `data:` URL."""

    url: str
    wide: bool


@dataclass(frozen=True)
class Ruler:
    """What stands below the pictures: sides, and a scale bar in percent of the square frame."""

    left: str
    right: str
    sides: str
    bar_mm: str | None
    bar_percent: float
    scale: str


def print_picture(png: bytes) -> Picture:
    """A PNG scaled down to the page's size, on black.

    Raises BadImage when the bytes are no readable PNG, ImageTooLarge when it has too many pixels.
    """
    picture = _opened(png, ["PNG"])
    wide = picture.width >= picture.height
    picture.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX), Image.Resampling.LANCZOS)
    # No chroma subsampling: it would smear the thin outline.
    return Picture(_jpeg(picture, quality=_JPEG_QUALITY, subsampling=0), wide)


def small_picture(content: bytes) -> str | None:
    """A gray picture for a table, as a `data:` URL; None when the bytes can't be read."""
    try:
        picture = _opened(content, ["WEBP", "PNG"]).convert("L")
    except (BadImage, ImageTooLarge):
        return None
    picture.thumbnail((SMALL_SIDE_PX, SMALL_SIDE_PX), Image.Resampling.LANCZOS)
    return _jpeg(picture, quality=_SMALL_QUALITY)


def _opened(content: bytes, formats: list[str]) -> Image.Image:
    try:
        with Image.open(BytesIO(content), formats=formats) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise ImageTooLarge
            opened.load()
            return _on_black(opened)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadImage("A picture of the report can't be read.") from error


def _jpeg(picture: Image.Image, **options: int) -> str:
    content = BytesIO()
    picture.save(content, "JPEG", optimize=True, **options)
    encoded = base64.b64encode(content.getvalue()).decode("ascii")
    return f"data:image/jpeg;base64,{encoded}"


def _on_black(opened: Image.Image) -> Image.Image:
    if opened.mode in ("L", "RGB"):
        return opened.copy()
    if opened.mode.startswith("I"):
        # 16 bits: Pillow would clip instead of scaling.
        return opened.convert("I").point(lambda value: value / 257).convert("L")
    colored = opened.convert("RGBA")
    black = Image.new("RGBA", colored.size, "black")
    return Image.alpha_composite(black, colored).convert("RGB")


def ruler(geometry: Geometry, width_px: int, height_px: int) -> Ruler:
    """Sides from known orientation only, a scale bar from known spacing only."""
    orientation = geometry.orientation
    right = orientation.image_right
    known = right is not None and orientation.source is not OrientationSource.UNKNOWN
    left_letter, right_letter = (
        (OPPOSITE[right].value, right.value) if right and known else ("", "")
    )
    if not known:
        sides = "side unknown"
    elif orientation.source is OrientationSource.DICOM:
        sides = "sides from DICOM"
    else:
        sides = "sides as stated"
    bar_mm, scale = None, "scale unknown"
    percent = 0.0
    if geometry.source is SpacingSource.HEAD_SIZE:
        scale = "scale estimated"
    elif geometry.column_mm is not None and geometry.source is not SpacingSource.UNKNOWN:
        breadth_mm = width_px * geometry.column_mm
        chosen = next((bar for bar in _BARS_MM if bar <= 0.4 * breadth_mm), None)
        scale = ""
        if chosen is not None:
            # A tall picture fills the frame's height, not its breadth.
            of_frame = min(1.0, width_px / height_px)
            bar_mm, percent = f"{chosen} mm", 100 * of_frame * chosen / breadth_mm
    return Ruler(left_letter, right_letter, sides, bar_mm, percent, scale)
