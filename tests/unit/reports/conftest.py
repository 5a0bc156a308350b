"""A warm renderer, and a report request as the gateway sends it."""

from collections.abc import Callable

import pytest

from neuroscan.contracts.report import ReportRequest
from services.reports.render import Renderer
from tests.unit.reports.cases import make_patient, make_report


@pytest.fixture(scope="session")
def renderer() -> Renderer:
    """Warm, as the service's is."""
    made = Renderer()
    made.warm_up()
    return made


@pytest.fixture
def report_request() -> ReportRequest:
    """A completed scan of a patient, with everything there is."""
    return make_report()


@pytest.fixture
def named(report_request: ReportRequest) -> Callable[[str], ReportRequest]:
    """The same request for a patient of another name."""

    def change(name: str) -> ReportRequest:
        return report_request.model_copy(update={"patient": make_patient(name)})

    return change
