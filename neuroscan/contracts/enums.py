"""The closed vocabularies of the public API and of the pipeline."""

from enum import StrEnum


class TumorClass(StrEnum):
    """What the network tells apart, in the order of the paper's tables."""

    GLIOMA = "glioma"
    MENINGIOMA = "meningioma"
    NO_TUMOR = "no_tumor"
    PITUITARY = "pituitary"


class ScanState(StrEnum):
    """How far a scan has come."""

    RECEIVED = "received"
    CLASSIFIED = "classified"
    EXPLAINED = "explained"
    MEASURED = "measured"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def final(self) -> bool:
        """True when nothing moves the scan on by itself."""
        return self in (ScanState.COMPLETED, ScanState.FAILED, ScanState.CANCELED)


class StageName(StrEnum):
    """The four pieces of work of a scan, in order."""

    CLASSIFY = "classify"
    EXPLAIN = "explain"
    MEASURE = "measure"
    REPORT = "report"


class StageState(StrEnum):
    """`waiting` for the stage before, `queued` for a worker, `running` under a lease, or over."""

    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELED = "canceled"


class WorkState(StrEnum):
    """How far further work on a scan has come: a further explanation or analysis."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELED = "canceled"


class ImageFormat(StrEnum):
    """What a client may send."""

    JPEG = "jpeg"
    PNG = "png"
    DICOM = "dicom"


class DisplayConvention(StrEnum):
    """How the sender says that axial and coronal slices are shown.

    `radiological`: the patient's right is on the left of the picture.
    """

    RADIOLOGICAL = "radiological"
    NEUROLOGICAL = "neurological"
    UNKNOWN = "unknown"


class Plane(StrEnum):
    """The anatomical plane of a slice."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"


class PatientAxis(StrEnum):
    """A direction in the patient, by its DICOM letter."""

    RIGHT = "R"
    LEFT = "L"
    ANTERIOR = "A"
    POSTERIOR = "P"
    HEAD = "H"
    FOOT = "F"


class OrientationSource(StrEnum):
    """Where the picture's orientation is known from."""

    DICOM = "dicom"
    DECLARED = "declared"
    UNKNOWN = "unknown"


class SpacingSource(StrEnum):
    """Where the pixel spacing is known from."""

    DICOM = "dicom"
    REQUEST = "request"
    HEAD_SIZE = "head_size"
    UNKNOWN = "unknown"

    @property
    def stated(self) -> bool:
        """Whether the file or its sender says it, rather than an estimate or nobody."""
        return self in (SpacingSource.DICOM, SpacingSource.REQUEST)


class CamMethod(StrEnum):
    """The class activation maps on offer."""

    HIRESCAM = "hirescam"
    GRADCAM = "gradcam"
    GRADCAM_PLUS_PLUS = "gradcam++"


class RegionSource(StrEnum):
    """What drew the region that is measured."""

    MAP = "map"
    SEGMENTATION = "segmentation"


class Standing(StrEnum):
    """How much a spatial parameter's number is worth (docs/architecture.md, decision 7)."""

    MEASURED = "measured"
    ESTIMATED = "estimated"
    SURROGATE = "surrogate"
    NOT_ASSESSABLE = "not_assessable"


class Laterality(StrEnum):
    """A side of the patient."""

    LEFT = "left"
    RIGHT = "right"
    CROSSES = "crosses"


class Sex(StrEnum):
    """Administrative sex, as DICOM's PatientSex has it; `unknown` when it was not given."""

    FEMALE = "female"
    MALE = "male"
    OTHER = "other"
    UNKNOWN = "unknown"


class Role(StrEnum):
    """What a caller may do; each role may do all that those before it may.

    `submitter`: its own scans, no patients. `clinician`: all scans, patients, reviews. `admin`:
    keys, audit, what failed for good.
    """

    SUBMITTER = "submitter"
    CLINICIAN = "clinician"
    ADMIN = "admin"

    def includes(self, other: "Role") -> bool:
        """Whether this role may do what the other may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


class DeliveryState(StrEnum):
    """How far a webhook's notice has come."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class DeliveryFault(StrEnum):
    """Why the last try to deliver a notice did not succeed."""

    ADDRESS_REFUSED = "address_refused"
    UNREACHABLE = "unreachable"
    TLS_FAILED = "tls_failed"
    NO_ANSWER = "no_answer"
    TIMED_OUT = "timed_out"
    BAD_STATUS = "bad_status"
    OWNER_GONE = "owner_gone"
    SECRET_LOST = "secret_lost"  # noqa: S105 - not a secret
