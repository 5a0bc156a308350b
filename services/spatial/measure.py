"""All ten parameters of one slice, with the geometry completed. Nothing here does I/O."""

import time

import numpy as np

from neuroscan.contracts.enums import Standing, TumorClass
from neuroscan.contracts.geometry import Geometry
from neuroscan.contracts.spatial import HemisphereParameter, MeasureResult, SpatialParameters
from neuroscan.imaging.region_mask import RegionMask
from services.spatial.certainty import confidence_parameter
from services.spatial.dimensions import dimensions, extent_of, volume
from services.spatial.head import Gray, Mask
from services.spatial.hemisphere import hemisphere, image_side, patient_side
from services.spatial.midline import midline_shift
from services.spatial.region_of_brain import anatomical_region
from services.spatial.relation import spatial_relation
from services.spatial.scene import Lesion, Scene, survey
from services.spatial.standing import (
    DRAWN,
    NO_REGION,
    NO_TUMOR,
    NOT_A_BRAIN,
    DimensionsParameter,
    NumberParameter,
    RegionParameter,
    RelationParameter,
    TextureParameter,
)
from services.spatial.surrogates import blood_volume, edema
from services.spatial.texture import texture


def measure(
    pixels: Gray,
    region: RegionMask | Mask | None,
    geometry: Geometry,
    *,
    label: TumorClass,
    confidence: float,
    calibrated: bool,
    input_accepted: bool,
    about: str = DRAWN,
) -> MeasureResult:
    """Derive the ten parameters of a slice `pixels` (H, W) uint8 from its region.

    `region` has masks (H, W) bool with their plausible range; a single mask is taken as certain;
    None when there is none. `about` says in a sentence what it rests on (`about_region`). What
    can't be said is `not_assessable` with its reason. Raises `ValueError` when shapes or types
    don't fit.
    """
    began = time.perf_counter()
    certainty = confidence_parameter(
        confidence, calibrated=calibrated, input_accepted=input_accepted
    )
    if not input_accepted:
        completed = geometry
        spatial = _without_lesion(NOT_A_BRAIN, _no_number(NOT_A_BRAIN), certainty)
    else:
        if isinstance(region, np.ndarray):
            region = RegionMask.certain(region)
        shown = None if label is TumorClass.NO_TUMOR else region
        scene = survey(pixels, shown, geometry, about=about)
        completed = scene.geometry
        shift = midline_shift(scene)
        if scene.lesion is None:
            reason = NO_TUMOR if label is TumorClass.NO_TUMOR else NO_REGION
            spatial = _without_lesion(reason, shift, certainty)
        else:
            spatial = _with_lesion(scene, scene.lesion, label, shift, certainty)
    elapsed_ms = (time.perf_counter() - began) * 1000
    return MeasureResult(geometry=completed, spatial=spatial, elapsed_ms=elapsed_ms)


def _with_lesion(
    scene: Scene,
    lesion: Lesion,
    label: TumorClass,
    shift: NumberParameter,
    certainty: NumberParameter,
) -> SpatialParameters:
    side = image_side(scene, lesion)
    extent = extent_of(scene, lesion)
    return SpatialParameters(
        anatomical_region=anatomical_region(scene, lesion, label, patient_side(scene, side)),
        hemisphere=hemisphere(scene, lesion, side),
        spatial_relation=spatial_relation(scene, lesion, label),
        tumor_volume=volume(scene, lesion, extent),
        maximum_dimensions=dimensions(scene, lesion, extent, label),
        texture=texture(scene, lesion),
        midline_shift=shift,
        edema_volume=edema(scene, lesion),
        relative_cerebral_blood_volume=blood_volume(scene, lesion),
        confidence=certainty,
    )


def _without_lesion(
    reason: str, shift: NumberParameter, certainty: NumberParameter
) -> SpatialParameters:
    """Everything that is said of a lesion is not assessable, for one reason."""
    absent = Standing.NOT_ASSESSABLE
    method = "from the region"
    return SpatialParameters(
        anatomical_region=RegionParameter(status=absent, method=method, reason=reason),
        hemisphere=HemisphereParameter(status=absent, method=method, reason=reason),
        spatial_relation=RelationParameter(status=absent, method=method, reason=reason),
        tumor_volume=_no_number(reason),
        maximum_dimensions=DimensionsParameter(status=absent, method=method, reason=reason),
        texture=TextureParameter(status=absent, method=method, reason=reason),
        midline_shift=shift,
        edema_volume=_no_number(reason),
        relative_cerebral_blood_volume=_no_number(reason),
        confidence=certainty,
    )


def _no_number(reason: str) -> NumberParameter:
    return NumberParameter(status=Standing.NOT_ASSESSABLE, method="from the region", reason=reason)
