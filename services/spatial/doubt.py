"""Values that take the class as certain say so where the prediction set holds another."""

from collections.abc import Sequence

from neuroscan.contracts.enums import Standing, TumorClass
from neuroscan.contracts.spatial import MeasureResult, SpatialParameters
from neuroscan.wording import one_of
from services.spatial.dimensions import RANO

_BY_CLASS = ("anatomical_region", "spatial_relation")
# Where there may be no tumor at all, none of these may be anything.
_OF_A_LESION = (
    *_BY_CLASS,
    "hemisphere",
    "tumor_volume",
    "maximum_dimensions",
    "texture",
    "edema_volume",
    "relative_cerebral_blood_volume",
)
_DOUBT = "The class is not certain ({classes}); this value takes it as {label}."


def with_doubt(
    result: MeasureResult, label: TumorClass, possible: Sequence[TumorClass]
) -> MeasureResult:
    """The result of a slice taken as `label`, with an assumption in each value that rests on it.

    `possible` is the prediction set, the likeliest first; with one class, or none where it is not
    known, nothing is added. What is not assessable has no value that could rest on anything.
    """
    if len(possible) < 2:
        return result
    spatial = result.spatial
    doubt = _DOUBT.format(classes=one_of([_words(each) for each in possible]), label=_words(label))
    changed = {}
    for name in _affected(spatial, possible):
        parameter = getattr(spatial, name)
        if parameter.status is not Standing.NOT_ASSESSABLE:
            assumptions = [*parameter.assumptions, doubt]
            changed[name] = parameter.model_copy(update={"assumptions": assumptions})
    return result.model_copy(update={"spatial": spatial.model_copy(update=changed)})


def _affected(spatial: SpatialParameters, possible: Sequence[TumorClass]) -> tuple[str, ...]:
    if TumorClass.NO_TUMOR in possible:
        return _OF_A_LESION
    as_of_a_glioma = spatial.maximum_dimensions.method.startswith(RANO)
    return (*_BY_CLASS, "maximum_dimensions") if as_of_a_glioma else _BY_CLASS


def _words(label: TumorClass) -> str:
    return label.replace("_", " ")
