"""The tenth parameter: the classifier's confidence, with its standing."""

from neuroscan.contracts.enums import Standing
from services.spatial.standing import NOT_A_BRAIN, NumberParameter

_METHOD = "probability of the class given by the network"


def confidence_parameter(
    confidence: float, *, calibrated: bool, input_accepted: bool
) -> NumberParameter:
    """The confidence (0 to 1): `measured` when it is calibrated, `estimated` when not.

    Of a picture that the input check turned away it is not assessable: the network must name some
    class, however little the picture is a brain.
    """
    if not input_accepted:
        return NumberParameter(
            status=Standing.NOT_ASSESSABLE,
            method=_METHOD,
            reason=NOT_A_BRAIN + " The confidence says nothing about such a picture.",
        )
    told = (
        "Calibrated on the validation slices of the model's card."
        if calibrated
        else "The model's confidence is not calibrated."
    )
    return NumberParameter(
        value=confidence,
        status=Standing.MEASURED if calibrated else Standing.ESTIMATED,
        method=_METHOD + (", temperature-scaled" if calibrated else ""),
        assumptions=[told],
    )
