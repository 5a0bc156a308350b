"""Requests of every kind that the pages must stand, made of real contract objects."""

import base64
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import numpy as np

from neuroscan.contracts.enums import ScanState, Sex, StageName, StageState, TumorClass
from neuroscan.contracts.geometry import Geometry
from neuroscan.contracts.patient import PatientView
from neuroscan.contracts.problems import NotAnImage, StageFailed
from neuroscan.contracts.report import (
    PageSize,
    ReportPictures,
    ReportRequest,
    SummaryItem,
    SummaryRequest,
)
from neuroscan.contracts.results import Classification, InputCheck, Probabilities
from neuroscan.contracts.scan import ReviewView
from tests.pictures import head, png
from tests.scans import AT, make_scan

COMMENT = "Ring enhancement with a necrotic center.\nThe outline misses the medial part."


def make_report() -> ReportRequest:
    """A completed scan of a patient, with everything there is."""
    return ReportRequest(
        scan=make_scan(),
        patient=make_patient(),
        notes="Headache for three weeks.",
        pictures=make_pictures(),
        software_version="0.1.0",
        made_at=AT,
    )


def make_patient(name: str | None = "Ada Example") -> PatientView:
    return PatientView(
        id="01998c1e-0000-7000-8000-000000000001",
        medical_record_number="20-4471",
        name=name,
        birth_date=date(1980, 5, 4),
        sex=Sex.FEMALE,
        created_at=AT,
        updated_at=AT,
    )


def make_pictures(size: int = 320) -> ReportPictures:
    """A head-like disk, a hot spot and both together."""
    rows, columns = np.mgrid[:size, :size] / size - 0.5
    random = np.random.default_rng(1)
    radius = np.hypot(rows / 1.15, columns)
    skull = np.where(radius < 0.38, 90.0, np.where(radius < 0.42, 200.0, 0.0))
    gray = np.clip(skull + random.normal(0, 8, skull.shape), 0, 255).astype(np.uint8)
    heat = np.exp(-(((rows + 0.12) ** 2 + (columns + 0.13) ** 2) / 0.012))
    hot = np.stack([255 * heat, 140 * heat**2, 40 * heat], axis=-1).astype(np.uint8)
    both = np.clip(gray[..., None] * 0.6 + hot * 0.8, 0, 255).astype(np.uint8)
    edge = np.abs(heat - 0.5) < 0.02
    both[edge] = (255, 212, 59)
    return ReportPictures(
        slice=base64.b64encode(png(gray)),
        heatmap=base64.b64encode(png(hot)),
        overlay=base64.b64encode(png(both)),
    )


def make_review(label: TumorClass = TumorClass.MENINGIOMA, comment: str = COMMENT) -> ReviewView:
    return ReviewView(
        label=label,
        agrees=label is TumorClass.GLIOMA,
        comment=comment,
        principal="key:k3f9a2c1",
        at=datetime(2026, 11, 24, 9, 12, tzinfo=UTC),
    )


def with_scan(request: ReportRequest, **changes: Any) -> ReportRequest:
    """The request with other fields of its scan."""
    return request.model_copy(update={"scan": request.scan.model_copy(update=changes)})


def classification_of(request: ReportRequest) -> Classification:
    found = request.scan.classification
    assert found is not None
    return found


def letter(request: ReportRequest) -> ReportRequest:
    return request.model_copy(update={"page_size": PageSize.LETTER})


def reviewed(request: ReportRequest) -> ReportRequest:
    """The second version, which a reader's correction made."""
    return with_scan(request, review=make_review()).model_copy(update={"version": 2})


def nobody(request: ReportRequest) -> ReportRequest:
    """No patient, and nothing known of sides and scale."""
    image = request.scan.image.model_copy(update={"geometry": Geometry()})
    return with_scan(request, image=image, reference=None, acquired_at=None).model_copy(
        update={"patient": None, "notes": None}
    )


def turned_away(request: ReportRequest) -> ReportRequest:
    """The input check takes the slice for no brain MRI."""
    check = InputCheck(
        accepted=False,
        score=9,
        threshold=3,
        message="The picture does not look like a brain-MRI slice.",
    )
    found = classification_of(request).model_copy(
        update={"calibrated": False, "prediction_set": list(TumorClass)}
    )
    return with_scan(request, input_check=check, classification=found)


def no_tumor(request: ReportRequest) -> ReportRequest:
    """Almost sure that there is none."""
    found = classification_of(request).model_copy(
        update={
            "label": TumorClass.NO_TUMOR,
            "confidence": 0.9999,
            "prediction_set": [TumorClass.NO_TUMOR],
            "probabilities": Probabilities(
                glioma=0.00005, meningioma=0.00005, no_tumor=0.9999, pituitary=0
            ),
        }
    )
    return with_scan(request, classification=found)


def uncertain(*labels: TumorClass) -> Classification:
    """These classes are possible, the likeliest first, each half as likely as the one before."""
    shares = dict.fromkeys(TumorClass, 0.01)
    shares |= {label: 0.5 / 2**rank for rank, label in enumerate(labels)}
    shares[labels[0]] += 1 - sum(shares.values())
    return Classification(
        label=labels[0],
        confidence=shares[labels[0]],
        probabilities=Probabilities.model_validate(shares),
        prediction_set=list(labels),
        coverage=0.95,
        calibrated=True,
        elapsed_ms=61.0,
    )


def possible(request: ReportRequest, *labels: TumorClass) -> ReportRequest:
    """A slice of which so much is known."""
    return with_scan(request, classification=uncertain(*labels))


def certain(request: ReportRequest) -> ReportRequest:
    """One class only is possible."""
    return possible(request, TumorClass.MENINGIOMA)


def three_classes(request: ReportRequest) -> ReportRequest:
    """Three are possible, and one of them is that there is no tumor."""
    return possible(request, TumorClass.MENINGIOMA, TumorClass.PITUITARY, TumorClass.NO_TUMOR)


def any_class(request: ReportRequest) -> ReportRequest:
    """None of the four can be ruled out."""
    return possible(request, *reversed(TumorClass))


def unexplained(request: ReportRequest) -> ReportRequest:
    """The explanation failed for good, and with it all that follows."""
    lost = {"state": StageState.FAILED, "attempt": 3, "problem": StageFailed().problem()}
    stages = [
        stage.model_copy(update=lost) if stage.name is StageName.EXPLAIN else stage
        for stage in request.scan.stages
    ]
    changed = with_scan(
        request, state=ScanState.FAILED, explanation=None, spatial=None, stages=stages
    )
    # Base64 again: reading a request decodes it.
    bare = ReportPictures(slice=base64.b64encode(request.pictures.slice))
    return changed.model_copy(update={"pictures": bare})


def right_to_left(request: ReportRequest) -> ReportRequest:
    """Name and comment in Arabic, notes in Hebrew."""
    changed = with_scan(request, review=make_review(comment="نعم، يوافق الطبيب على النتيجة."))
    return changed.model_copy(
        update={"patient": make_patient("فاطمة الزهراء"), "notes": "צילום שני לאחר טיפול."}
    )


def east_asian(request: ReportRequest) -> ReportRequest:
    """Japanese, Korean and Chinese."""
    return request.model_copy(
        update={"patient": make_patient("山田太郎 (やまだ たろう)"), "notes": "김철수 头痛三周。"}
    )


def long_name(request: ReportRequest) -> ReportRequest:
    """A name of the greatest length."""
    return request.model_copy(
        update={"patient": make_patient(("Maximiliana Wolfeschlegel " * 8)[:200])}
    )


CASES: dict[str, Callable[[ReportRequest], ReportRequest]] = {
    "complete": lambda request: request,
    "letter": letter,
    "reviewed": reviewed,
    "nobody": nobody,
    "turned_away": turned_away,
    "no_tumor": no_tumor,
    "certain": certain,
    "three_classes": three_classes,
    "any_class": any_class,
    "unexplained": unexplained,
    "right_to_left": right_to_left,
    "east_asian": east_asian,
    "long_name": long_name,
}


def make_item(position: int, **changes: Any) -> SummaryItem:
    """A completed scan of a batch."""
    item = SummaryItem(
        position=position,
        file=f"scan_{position + 1:02d}.png",
        scan_id=f"01998c1e-7c1e-7d43-a8c5-3a2f0f3f{position:04x}",
        state=ScanState.COMPLETED,
        classification=uncertain(TumorClass.GLIOMA),
        input_accepted=True,
        review=None,
        problem=None,
        thumbnail=base64.b64encode(png(head(96, seed=position))),
    )
    return item.model_copy(update=changes)


def make_summary(count: int = 6) -> SummaryRequest:
    """A batch whose files are fine but for four of the first five.

    The second was no image, the third was turned away, the fourth may be of two classes, and the
    fifth was corrected.
    """
    special: dict[int, dict[str, Any]] = {
        1: {
            "scan_id": None,
            "state": "refused",
            "classification": None,
            "input_accepted": None,
            "problem": NotAnImage().problem(),
            "thumbnail": None,
        },
        2: {"input_accepted": False},
        3: {"classification": make_scan().classification},
        4: {"review": TumorClass.PITUITARY},
    }
    facts = make_scan().model
    return SummaryRequest(
        batch_id="01998c1e-0000-7000-8000-00000000b001",
        created_at=AT,
        patient=make_patient(),
        items=[make_item(position, **special.get(position, {})) for position in range(count)],
        models=[facts] if facts else [],
        software_version="0.1.0",
        made_at=AT,
    )
