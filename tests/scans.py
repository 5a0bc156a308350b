"""A scan with everything there is, made of real contract objects."""

from datetime import UTC, datetime

from neuroscan.contracts.enums import (
    CamMethod,
    ImageFormat,
    Laterality,
    OrientationSource,
    PatientAxis,
    Plane,
    RegionSource,
    ScanState,
    SpacingSource,
    StageName,
    StageState,
    Standing,
    TumorClass,
)
from neuroscan.contracts.geometry import Geometry, Orientation
from neuroscan.contracts.results import (
    Classification,
    InputCheck,
    ModelFacts,
    Probabilities,
    Region,
    Regions,
)
from neuroscan.contracts.scan import (
    ExplanationImages,
    ExplanationView,
    ImageFacts,
    ScanView,
    StageView,
)
from neuroscan.contracts.spatial import (
    AnatomicalRegion,
    HemisphereParameter,
    Interval,
    Parameter,
    RegionCandidate,
    SpatialParameters,
    SpatialRelation,
    Surrogate,
    Texture,
    TextureFeatures,
)

SCAN_ID = "01998c1e-7c1e-7d43-a8c5-3a2f0f3f7a11"
AT = datetime(2026, 11, 23, 10, 42, 7, tzinfo=UTC)
OUTLINE = "The region's outline stands for the tumor's; its error is not yet in the card."
DECLARED = "Left and right are as the request's display convention states."


def make_scan() -> ScanView:
    return ScanView(
        id=SCAN_ID,
        version=9,
        state=ScanState.MEASURED,
        reference="PACS 88-1203",
        patient_id="01998c1e-0000-7000-8000-000000000001",
        created_at=AT,
        updated_at=AT,
        acquired_at=datetime(2026, 11, 20, 8, 5, tzinfo=UTC),
        image=ImageFacts(
            format=ImageFormat.DICOM,
            width=320,
            height=320,
            sha256="ab" * 32,
            geometry=Geometry(
                row_mm=0.7,
                column_mm=0.7,
                source=SpacingSource.DICOM,
                plane=Plane.AXIAL,
                orientation=Orientation(
                    image_right=PatientAxis.LEFT,
                    image_bottom=PatientAxis.POSTERIOR,
                    source=OrientationSource.DICOM,
                ),
            ),
        ),
        input_check=InputCheck(accepted=True, score=1.2, threshold=3.0, message=""),
        classification=Classification(
            label=TumorClass.GLIOMA,
            confidence=0.912,
            probabilities=Probabilities(
                glioma=0.912, meningioma=0.071, no_tumor=0.0049, pituitary=0.0121
            ),
            prediction_set=[TumorClass.GLIOMA, TumorClass.MENINGIOMA],
            coverage=0.95,
            calibrated=True,
            elapsed_ms=61.0,
        ),
        explanation=make_explanation(),
        spatial=make_spatial(),
        stages=[
            StageView(
                name=name,
                state=StageState.DONE if name is not StageName.REPORT else StageState.RUNNING,
                attempt=1,
                started_at=AT,
                finished_at=AT if name is not StageName.REPORT else None,
                problem=None,
            )
            for name in StageName
        ],
        model=ModelFacts(name="bootstrap", version="1.0", sha256="7e13a217fbc0" + "1" * 52),
    )


def make_explanation() -> ExplanationView:
    outline = [(90, 80), (150, 80), (150, 130), (90, 130)]
    region = Region(bbox=(90, 80, 150, 130), area_px=2412, contour=outline, contours=[outline])
    return ExplanationView(
        id="01998c1e-0000-7000-8000-000000000002",
        method=CamMethod.HIRESCAM,
        layer="layer3[-1]",
        target_label=TumorClass.GLIOMA,
        class_score=7.2,
        positive_evidence=True,
        sharpness=0.431,
        pointing_accuracy=0.62,
        region_source=RegionSource.MAP,
        region=region,
        regions=Regions(map=region),
        overlap=None,
        elapsed_ms=180.0,
        images=ExplanationImages(heatmap="/v1/h.png", overlay="/v1/o.png"),
    )


def make_spatial() -> SpatialParameters:
    estimated, surrogate = Standing.ESTIMATED, Standing.SURROGATE
    return SpatialParameters(
        anatomical_region=Parameter[AnatomicalRegion, None](
            value=AnatomicalRegion(
                name="right frontal lobe",
                probability=0.82,
                alternatives=[RegionCandidate(name="right insula", probability=0.11)],
            ),
            status=estimated,
            method="atlas in brain-relative coordinates",
            assumptions=[OUTLINE, "The atlas is that of a healthy average brain."],
        ),
        hemisphere=HemisphereParameter(
            value=Laterality.RIGHT,
            status=Standing.MEASURED,
            method="region against the midline",
            assumptions=[DECLARED],
            image_side=Laterality.LEFT,
        ),
        spatial_relation=Parameter[SpatialRelation, None](
            value=SpatialRelation(axis="intra", depth="deep", to_edge_mm=21.3, to_midline_mm=3.04),
            status=estimated,
            method="distances",
            assumptions=[OUTLINE],
        ),
        tumor_volume=Parameter[float, Interval](
            value=14.137,
            unit="cm³",
            status=estimated,
            method="ellipsoid",
            assumptions=["One slice shows two axes of the tumor; the third is assumed.", OUTLINE],
            range=(11.82, 17.04),
        ),
        maximum_dimensions=Parameter[
            tuple[float, float, float], tuple[Interval, Interval, Interval]
        ](
            value=(32.4, 29.1, 30.7),
            unit="mm",
            status=estimated,
            method="chords",
            assumptions=[OUTLINE],
            range=((28.2, 36.1), (25.0, 33.3), (25.0, 36.1)),
        ),
        texture=Parameter[Texture, None](
            value=Texture(
                category="mildly heterogeneous",
                features=TextureFeatures(
                    coefficient_of_variation=0.213,
                    entropy_bits=4.12,
                    contrast=3.3,
                    homogeneity=0.52,
                ),
            ),
            category="mildly heterogeneous",
            status=estimated,
            method="first order",
            assumptions=["The cut-offs are conventions of this project."],
        ),
        midline_shift=Parameter[float, Interval](
            value=1.24,
            unit="mm",
            category="none",
            status=Standing.MEASURED,
            method="symmetry",
            range=(0.31, 2.2),
        ),
        edema_volume=Parameter[float, Interval](
            status=surrogate,
            surrogate=Surrogate(quantity="ring area", value=412.3, unit="mm²"),
            method="ring",
            reason="Edema needs T2 or FLAIR; a ring's area is no volume.",
        ),
        relative_cerebral_blood_volume=Parameter[float, Interval](
            status=surrogate,
            surrogate=Surrogate(quantity="lesion-to-mirror intensity", value=1.842, unit="ratio"),
            category="elevated",
            method="mirror",
            reason="This is no perfusion measurement.",
        ),
        confidence=Parameter[float, Interval](
            value=0.912, status=Standing.MEASURED, method="calibrated softmax"
        ),
    )
