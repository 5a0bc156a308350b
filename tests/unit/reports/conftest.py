"""A report request as the gateway sends it, made of real contract objects."""

import base64
from collections.abc import Callable
from datetime import date

import numpy as np
import pytest

from neuroscan.contracts.enums import Sex
from neuroscan.contracts.patient import PatientView
from neuroscan.contracts.report import ReportPictures, ReportRequest
from services.reports.render import Renderer
from tests.pictures import png
from tests.scans import AT, make_scan


@pytest.fixture(scope="session")
def renderer() -> Renderer:
    """Warm, as the service's is."""
    made = Renderer()
    made.warm_up()
    return made


@pytest.fixture
def report_request() -> ReportRequest:
    """A completed scan of a patient, with everything there is."""
    return ReportRequest(
        scan=make_scan(),
        patient=make_patient(),
        notes="Headache for three weeks.",
        pictures=make_pictures(),
        software_version="0.1.0",
        made_at=AT,
    )


@pytest.fixture
def named(report_request: ReportRequest) -> Callable[[str], ReportRequest]:
    """The same request for a patient of another name."""

    def change(name: str) -> ReportRequest:
        return report_request.model_copy(update={"patient": make_patient(name)})

    return change


def make_patient(name: str = "Ada Example") -> PatientView:
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
    head = np.where(radius < 0.38, 90.0, np.where(radius < 0.42, 200.0, 0.0))
    gray = np.clip(head + random.normal(0, 8, head.shape), 0, 255).astype(np.uint8)
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
