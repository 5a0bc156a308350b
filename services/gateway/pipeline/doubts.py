"""What speaks against a picture before a network has looked: what it says of itself, and its shape.

The network sees every picture as a square of gray, so it can't tell.
"""

from neuroscan.contracts.enums import TumorClass
from neuroscan.contracts.results import InferenceResult
from services.gateway.db.tables import Scan

# Secondary captures and "other" may hold an MR slice; a file without a modality says nothing.
_MAY_BE_MR = frozenset({None, "MR", "SC", "OT"})
# Sides of a head's slice differ by less than half; anisotropic pixels may double that.
SIDES_MAX = 4.0
_SO_WHAT = "class and confidence say nothing here. Check that the right picture was sent."


def with_doubts(scan: Scan, result: InferenceResult) -> InferenceResult:
    """The result as it counts: turned away by the input check where something speaks against it.

    A picture that the network's own check turned away keeps that check's words.
    """
    reason = _against(scan)
    if reason is None or not result.input_check.accepted:
        return result
    found = result.classification
    shares = found.probabilities.model_dump()
    return result.model_copy(
        update={
            "input_check": result.input_check.model_copy(
                update={"accepted": False, "message": reason}
            ),
            "classification": found.model_copy(
                update={
                    "prediction_set": sorted(TumorClass, key=lambda label: -shares[label]),
                    "calibrated": False,
                }
            ),
        }
    )


def _against(scan: Scan) -> str | None:
    width, height = scan.width, scan.height
    if scan.modality not in _MAY_BE_MR:
        what = f"The file says that it is {scan.modality}, and the network knows MR only"
    elif max(width, height) > SIDES_MAX * min(width, height):
        what = f"A picture of {width} × {height} pixels shows no slice of a head"
    else:
        return None
    return f"{what}: {_SO_WHAT}"
