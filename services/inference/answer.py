"""From a prediction to the contract's result, by the bundle's thresholds."""

from neuroscan.contracts.enums import TumorClass
from neuroscan.contracts.results import (
    Classification,
    InferenceResult,
    InputCheck,
    ModelFacts,
    Probabilities,
)
from neuroscan.network.bundle import Description
from neuroscan.network.conformal import prediction_set, whole_set
from services.inference.engine import Prediction

KNOWN = "Looks like the slices that the network was trained on."
FOREIGN = (
    "This does not look like a brain-MRI slice that the network knows: "
    "its class and confidence say nothing here. Check that the right picture was sent."
)


def model_facts(bundle: Description) -> ModelFacts:
    """Which model answers."""
    return ModelFacts(name=bundle.name, version=bundle.version, sha256=bundle.sha256)


def answer(bundle: Description, prediction: Prediction, elapsed_ms: float) -> InferenceResult:
    """The result for one slice.

    A slice that the input check turns away keeps its label, but is not calibrated and has all
    classes in its prediction set.
    """
    accepted = prediction.distance <= bundle.input_check.threshold
    shares = prediction.probabilities
    chosen = prediction_set(shares, bundle.conformal.threshold) if accepted else whole_set(shares)
    labels = [TumorClass(name) for name in bundle.classes]
    best = max(range(len(shares)), key=shares.__getitem__)
    return InferenceResult(
        input_check=InputCheck(
            accepted=accepted,
            score=prediction.distance,
            threshold=bundle.input_check.threshold,
            message=KNOWN if accepted else FOREIGN,
        ),
        classification=Classification(
            label=labels[best],
            confidence=shares[best],
            probabilities=Probabilities.model_validate(
                dict(zip(bundle.classes, shares, strict=True))
            ),
            prediction_set=[labels[index] for index in chosen],
            coverage=bundle.conformal.coverage,
            calibrated=accepted,
            elapsed_ms=elapsed_ms,
        ),
        model=model_facts(bundle),
    )
