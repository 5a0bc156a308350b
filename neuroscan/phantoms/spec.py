"""What a phantom is asked to be, and what is then known about it.

Positions are MNI coordinates in mm: x to the patient's right, y to the front, z to the crown.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

LOWEST_MM, HIGHEST_MM = -5.0, 60.0
MAX_SHIFT_MM = 15.0
SHIFT_LEVELS_MM = (-5.0, 30.0)


class Side(StrEnum):
    """A side of the patient."""

    LEFT = "left"
    RIGHT = "right"

    @property
    def other(self) -> "Side":
        """The opposite side."""
        return Side.LEFT if self is Side.RIGHT else Side.RIGHT

    @property
    def sign(self) -> int:
        """The sign of x on this side: right is positive."""
        return 1 if self is Side.RIGHT else -1


class Lobe(StrEnum):
    """Where a lesion can be put."""

    FRONTAL = "frontal"
    PARIETAL = "parietal"
    TEMPORAL = "temporal"
    OCCIPITAL = "occipital"

    @property
    def site_mm(self) -> tuple[float, float, float]:
        """A place well inside the lobe, on the right side."""
        return _SITES_MM[self]


_SITES_MM = {
    Lobe.FRONTAL: (31.0, 34.0, 20.0),  # middle frontal gyrus and the white matter below it
    Lobe.PARIETAL: (33.0, -46.0, 44.0),  # inferior parietal lobule
    Lobe.TEMPORAL: (49.0, -28.0, 2.0),  # superior and middle temporal gyri
    Lobe.OCCIPITAL: (26.0, -82.0, 10.0),  # middle occipital gyrus
}


class Appearance(StrEnum):
    """How the lesion shows against the brain."""

    RING = "ring"
    BRIGHT = "bright"
    DARK = "dark"


class Sequence(StrEnum):
    """`t1`: strong contrast of gray and white matter. `t1ce`: weak, with bright vessels."""

    T1 = "t1"
    T1_CE = "t1ce"


@dataclass(frozen=True)
class LesionSpec:
    """A lesion to draw.

    `center_mm` overrides the lobe's own site (x counts to the right, so it is negative on the
    left); `angle_deg` turns the long axis from the patient's left-right axis; `irregularity` is the
    relative size of the bumps of the outline; `edge_mm` the width of the soft edge, whose middle is
    the edge of the mask; `edema_mm` the width of a darker rim around the lesion, outside the mask.
    """

    side: Side
    lobe: Lobe
    longest_mm: float = 30.0
    perpendicular_mm: float = 24.0
    angle_deg: float = 30.0
    appearance: Appearance = Appearance.RING
    irregularity: float = 0.05
    edge_mm: float = 1.5
    edema_mm: float = 0.0
    center_mm: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        if not 3.0 <= self.perpendicular_mm <= self.longest_mm:
            raise ValueError("a lesion needs 3 mm <= perpendicular_mm <= longest_mm")
        if not 0.0 <= self.irregularity <= 0.15:
            raise ValueError("irregularity lies between 0 and 0.15")

    @property
    def place_mm(self) -> tuple[float, float, float]:
        """The center in MNI coordinates."""
        if self.center_mm is not None:
            return self.center_mm
        x, y, z = self.lobe.site_mm
        return self.side.sign * x, y, z


@dataclass(frozen=True)
class PhantomSpec:
    """A phantom to make.

    `level_mm` is the slice's z; without it a lesion's own level is taken, or 18 mm. `noise` is the
    Rician noise's sigma as a share of full white; `bias` the relative height of the coil's shading;
    `rotation_deg` turns the head clockwise in the picture. `midline_shift_mm` pushes the midline
    towards `shift_toward`, which defaults to the side opposite the lesion.
    """

    name: str
    seed: int = 7
    lesion: LesionSpec | None = None
    level_mm: float | None = None
    midline_shift_mm: float = 0.0
    shift_toward: Side | None = None
    sequence: Sequence = Sequence.T1_CE
    pixel_spacing_mm: float = 1.0
    size_px: int = 256
    rotation_deg: float = 0.0
    noise: float = 0.012
    bias: float = 0.15
    blur_mm: float = 0.5
    thickness_mm: float = 5.0
    head_scale: float = 0.93

    def __post_init__(self) -> None:
        if not LOWEST_MM <= self.z_mm <= HIGHEST_MM:
            raise ValueError(f"the level lies between {LOWEST_MM:g} and {HIGHEST_MM:g} mm")
        if not 1.0 <= self.thickness_mm <= 10.0:
            raise ValueError("a slice is 1 to 10 mm thick")
        if self.size_px * self.pixel_spacing_mm < 225:
            raise ValueError("the picture must show at least 225 mm, or the head is cut off")
        if not 0.0 <= self.midline_shift_mm <= MAX_SHIFT_MM:
            raise ValueError(f"a midline shift lies between 0 and {MAX_SHIFT_MM:g} mm")
        if self.midline_shift_mm and self.direction is None:
            raise ValueError("a midline shift without a lesion needs `shift_toward`")
        low, high = SHIFT_LEVELS_MM
        if self.midline_shift_mm and not low <= self.z_mm <= high:
            raise ValueError("a midline shift needs a level with third ventricle or septum")

    @property
    def z_mm(self) -> float:
        """The level of the slice in MNI coordinates."""
        if self.level_mm is not None:
            return self.level_mm
        return 18.0 if self.lesion is None else self.lesion.place_mm[2]

    @property
    def direction(self) -> Side | None:
        """The side that the midline is pushed to, if it is."""
        if not self.midline_shift_mm:
            return None
        if self.shift_toward is not None:
            return self.shift_toward
        return None if self.lesion is None else self.lesion.side.other


@dataclass(frozen=True)
class LesionTruth:
    """What is known of the lesion.

    `longest_mm` is the largest distance between two points of the outline, `perpendicular_mm` its
    extent across that direction, both of the outline as drawn, before pixels; `lobe` is that of the
    center. Areas, centroid (x, y; pixel centers are whole numbers) and `bbox_px` (x0, y0, x1, y1,
    half-open) are the mask's.
    """

    side: Side
    lobe: Lobe
    longest_mm: float
    perpendicular_mm: float
    area_mm2: float
    area_px: int
    centroid_px: tuple[float, float]
    bbox_px: tuple[int, int, int, int]


@dataclass(frozen=True)
class PhantomTruth:
    """What is known of a phantom; the content of its sidecar file. Never a tumor class.

    `midline_shift_mm` is the displacement of the septum, or of the third ventricle, at right angles
    to the line between the falx's attachments, towards `midline_shift_toward`.
    """

    file: str
    lesion: LesionTruth | None
    midline_shift_mm: float
    midline_shift_toward: Side | None
    pixel_spacing_mm: float
    rotation_deg: float
    level_mm: float
    sequence: Sequence
    seed: int
    plane: Literal["axial"] = "axial"
    display_convention: Literal["radiological"] = "radiological"
