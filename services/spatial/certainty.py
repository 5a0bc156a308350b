"""The tenth parameter: the classifier's confidence, with its standing."""

from neuroscan.contracts.enums import Standing
from services.spatial.standing import NOT_A_BRAIN, NumberParameter


def confidence_parameter(
    confidence: float, *, calibrated: bool, input_accepted: bool
) -> NumberParameter:
    """The confidence (0 to 1): `measured` only when it is calibrated and the input was accepted."""
    trusted = calibrated and input_accepted
    assumptions = []
    if not input_accepted:
        assumptions.append(NOT_A_BRAIN + " The confidence says nothing about such a picture.")
    elif not calibrated:
        assumptions.append("The model's confidence is not calibrated.")
    else:
        assumptions.append("Calibrated on the validation slices of the model's card.")
    return NumberParameter(
        value=confidence,
        status=Standing.MEASURED if trusted else Standing.ESTIMATED,
        method="probability of the class given by the network"
        + (", temperature-scaled" if trusted else ""),
        assumptions=assumptions,
    )
