"""The measure stage: slice and mask from the object store, ten parameters back.

`load` is called in each pool child; it imports OpenCV there, so that the parent stays light.
"""

from collections.abc import Callable

from neuroscan.contracts.messages import MeasureTask
from neuroscan.contracts.problems import StageFailed
from neuroscan.contracts.spatial import MeasureResult
from neuroscan.imaging.region_mask import read_region_mask
from neuroscan.imaging.stored import read_slice_png
from neuroscan.settings import StoreSettings
from neuroscan.storage import open_storage
from services.spatial.standing import about_region


def load() -> Callable[[MeasureTask, str], MeasureResult]:
    """The handler of one task; the prefix below which it might write stays unused.

    The handler raises `ObjectNotFound` when the slice or mask isn't there, what `read_slice_png`
    raises when it is no picture, and `StageFailed` when the two differ in size.
    """
    import cv2  # noqa: PLC0415 - see the module's first lines

    from services.spatial.doubt import with_doubt  # noqa: PLC0415 - imports OpenCV
    from services.spatial.measure import measure  # noqa: PLC0415 - imports OpenCV
    from services.spatial.plane import warm_up  # noqa: PLC0415 - imports OpenCV

    cv2.setNumThreads(1)
    warm_up()
    storage = open_storage(StoreSettings())

    def handle(task: MeasureTask, _prefix: str) -> MeasureResult:
        pixels = read_slice_png(storage.get(task.slice_key))
        region = None
        if task.mask_key is not None:
            region = read_region_mask(read_slice_png(storage.get(task.mask_key)))
        if region is not None and region.chosen.shape != pixels.shape:
            raise StageFailed("The region's mask and the slice differ in size.")
        result = measure(
            pixels,
            region,
            task.geometry,
            label=task.label,
            confidence=task.confidence,
            calibrated=task.calibrated,
            input_accepted=task.input_accepted,
            about=about_region(task.region_source, task.segmentation_dice),
        )
        return with_doubt(result, task.label, task.prediction_set)

    return handle
