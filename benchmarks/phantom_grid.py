"""The parameters on phantoms, whose truth is known: with their own mask, and end to end."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.agreement import dice
from benchmarks.slices import Product
from neuroscan.contracts.enums import (
    DisplayConvention,
    Laterality,
    RegionSource,
    SpacingSource,
    TumorClass,
)
from neuroscan.contracts.geometry import Geometry, declared_orientation
from neuroscan.contracts.spatial import SpatialParameters
from neuroscan.imaging.region_mask import Mask, RegionMask
from neuroscan.phantoms import (
    Appearance,
    LesionSpec,
    Lobe,
    Phantom,
    PhantomSpec,
    Side,
    make_phantom,
)
from neuroscan.phantoms import (
    Sequence as MrSequence,
)
from services.explain.region import FoundRegion
from services.spatial.measure import measure

SIZES_MM = ((16.0, 12.0), (24.0, 18.0), (34.0, 26.0))
SHIFTS_MM = (0.0, 2.0, 4.0, 6.0, 8.0, 10.0)
NOISES = (0.012, 0.03)
# Where a midline can be shifted at all: at the level of the septum and the third ventricle.
_SHIFT_LEVEL_MM = 20.0
# What fits into the brain at the lobe's site.
_ROOM_MM = {Lobe.OCCIPITAL: 26.0, Lobe.TEMPORAL: 26.0}
_SHIFT_LOBES = (Lobe.FRONTAL, Lobe.PARIETAL)


@dataclass(frozen=True)
class PhantomErrors:
    """One phantom: what was found less what is known, diameters in percent, shift in mm.

    None where there is no value; `place` is the lobe with its side.
    """

    name: str
    noise: float
    shift_mm: float
    side: bool
    place: bool
    longest_percent: float | None
    perpendicular_percent: float | None
    shift_error_mm: float | None


@dataclass(frozen=True)
class EndToEnd:
    """What the whole system makes of a phantom; `answer` is a class that a phantom doesn't have.

    `source` is None where no region is measured; `on_lesion` says that the measured region touches
    the lesion, `segmented` that the segmentation's does, measured or not.
    """

    name: str
    answer: str
    source: str | None
    on_lesion: bool
    dice: float
    side: bool
    longest_percent: float | None
    segmented: bool


def grid(sizes: Sequence[tuple[float, float]] = SIZES_MM) -> Iterator[PhantomSpec]:
    """Sizes, places, sides and noise; then shifts, places, sides and noise."""
    seed = 500
    for noise in NOISES:
        for longest, perpendicular in sizes:
            for lobe in Lobe:
                if longest > _ROOM_MM.get(lobe, longest):
                    continue
                for side in Side:
                    seed += 1
                    yield _spec(side, lobe, (longest, perpendicular), noise, seed)
        for shift in SHIFTS_MM:
            for lobe in _SHIFT_LOBES:
                for side in Side:
                    seed += 1
                    yield _spec(side, lobe, sizes[len(sizes) // 2], noise, seed, shift)


def own_mask(made: Phantom, spec: PhantomSpec) -> PhantomErrors:
    """The parameters from the phantom's own mask, against its truth."""
    truth = made.truth
    lesion = truth.lesion
    assert lesion is not None
    found = _measure(made, made.lesion_mask)
    sized = found.maximum_dimensions.value
    place = found.anatomical_region.value
    name = f"{lesion.side.value.capitalize()} {lesion.lobe.value.capitalize()} Lobe"
    shift = found.midline_shift.value
    return PhantomErrors(
        name=spec.name,
        noise=spec.noise,
        shift_mm=spec.midline_shift_mm,
        side=found.hemisphere.value == Laterality(lesion.side.value),
        place=place is not None and place.name == name,
        longest_percent=_percent(sized and sized[0], lesion.longest_mm),
        perpendicular_percent=_percent(sized and sized[1], lesion.perpendicular_mm),
        shift_error_mm=None if shift is None else shift - truth.midline_shift_mm,
    )


def end_to_end(product: Product, made: Phantom, spec: PhantomSpec) -> EndToEnd:
    """Classifier, map and decoder on the phantom's pixels; the network never saw a phantom."""
    lesion = made.truth.lesion
    assert lesion is not None
    looks = product.look(made.pixels)
    chosen = looks.regions.chosen if looks.measurable else None
    found = None if chosen is None else _measure(made, chosen.masks)
    sized = found.maximum_dimensions.value if found else None
    source = looks.regions.source if chosen else None
    return EndToEnd(
        name=spec.name,
        answer=looks.answer.value,
        source=source.value if isinstance(source, RegionSource) else None,
        on_lesion=_lies_on(chosen, made),
        dice=0.0 if chosen is None else dice(chosen.masks.chosen, made.lesion_mask),
        side=found is not None and found.hemisphere.value == Laterality(lesion.side.value),
        longest_percent=_percent(sized and sized[0], lesion.longest_mm),
        segmented=_lies_on(looks.regions.segmentation, made),
    )


def run_grid(
    product: Product, specs: Sequence[PhantomSpec], progress: Callable[[int], None]
) -> tuple[list[PhantomErrors], list[EndToEnd]]:
    """Both for every phantom of the grid."""
    errors, ends = [], []
    for number, spec in enumerate(specs):
        progress(number)
        made = make_phantom(spec)
        errors.append(own_mask(made, spec))
        ends.append(end_to_end(product, made, spec))
    return errors, ends


def _lies_on(found: FoundRegion | None, made: Phantom) -> bool:
    return found is not None and bool((found.masks.chosen & made.lesion_mask).any())


def _spec(
    side: Side,
    lobe: Lobe,
    size: tuple[float, float],
    noise: float,
    seed: int,
    shift_mm: float | None = None,
) -> PhantomSpec:
    level = None if shift_mm is None else _SHIFT_LEVEL_MM
    x, y, _ = lobe.site_mm
    kind = "size" if shift_mm is None else f"shift{shift_mm:g}"
    return PhantomSpec(
        name=f"{side.value}-{lobe.value}-{size[0]:g}mm-{kind}-noise{noise:g}",
        seed=seed,
        lesion=LesionSpec(
            side=side,
            lobe=lobe,
            longest_mm=size[0],
            perpendicular_mm=size[1],
            angle_deg=17.0 * (seed % 11),
            appearance=list(Appearance)[seed % 3],
            center_mm=None if level is None else (side.sign * x, y, level),
        ),
        level_mm=level,
        midline_shift_mm=shift_mm or 0.0,
        sequence=list(MrSequence)[seed % 2],
        rotation_deg=(-8.0, 0.0, 5.0)[seed % 3],
        noise=noise,
    )


def _measure(made: Phantom, region: RegionMask | Mask) -> SpatialParameters:
    spacing_mm = made.truth.pixel_spacing_mm
    return measure(
        made.pixels,
        region,
        Geometry(
            row_mm=spacing_mm,
            column_mm=spacing_mm,
            source=SpacingSource.REQUEST,
            orientation=declared_orientation(DisplayConvention.RADIOLOGICAL, None),
        ),
        label=TumorClass.GLIOMA,
        confidence=0.9,
        calibrated=True,
        input_accepted=True,
    ).spatial


def _percent(found: float | None, known: float) -> float | None:
    return None if found is None else 100 * (found / known - 1)
