"""From a prediction to the contract's result."""

import dataclasses

import pytest

from neuroscan.contracts.enums import TumorClass
from neuroscan.network.bundle import Bundle, Description
from neuroscan.settings import SHIPPED_BUNDLE
from services.inference.answer import answer
from services.inference.engine import Prediction


@pytest.fixture(scope="module")
def bundle() -> Description:
    return Bundle.read(SHIPPED_BUNDLE).description


def test_an_accepted_slice_has_its_label_set_and_calibrated_confidence(bundle: Description) -> None:
    result = answer(bundle, Prediction((0.001, 0.002, 0.002, 0.995), distance=0.5), 12.5)
    found = result.classification
    assert result.input_check.accepted
    assert found.calibrated
    assert found.label is TumorClass.PITUITARY
    assert found.confidence == 0.995
    assert found.prediction_set == [TumorClass.PITUITARY]
    assert found.coverage == bundle.conformal.coverage
    assert found.probabilities.meningioma == 0.002
    assert found.elapsed_ms == 12.5


def test_a_foreign_slice_keeps_all_classes_and_is_not_calibrated(bundle: Description) -> None:
    strange = bundle.input_check.threshold * 1.01
    result = answer(bundle, Prediction((0.001, 0.002, 0.002, 0.995), distance=strange), 1)
    assert not result.input_check.accepted
    assert not result.classification.calibrated
    assert set(result.classification.prediction_set) == set(TumorClass)
    assert result.classification.prediction_set[0] is TumorClass.PITUITARY
    assert "does not look like a brain-MRI slice" in result.input_check.message


def test_the_threshold_itself_is_accepted(bundle: Description) -> None:
    at = Prediction((0.25, 0.25, 0.25, 0.25), distance=bundle.input_check.threshold)
    assert answer(bundle, at, 1).input_check.accepted


def test_an_undecided_network_gives_every_class_that_reaches_the_threshold(
    bundle: Description,
) -> None:
    lenient = dataclasses.replace(
        bundle, conformal=dataclasses.replace(bundle.conformal, threshold=0.4)
    )
    result = answer(lenient, Prediction((0.5, 0.5, 0.0, 0.0), distance=0.5), 1)
    assert set(result.classification.prediction_set) == {
        TumorClass.GLIOMA,
        TumorClass.MENINGIOMA,
    }
