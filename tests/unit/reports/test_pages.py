"""Rendered pages beside references: coarse gray pages, so that letters may be drawn otherwise.

`python -m tests.unit.reports.test_pages` draws the references anew: look at them, then commit.
"""

from pathlib import Path

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image

from neuroscan.contracts.report import ReportRequest
from neuroscan.contracts.results import Probabilities
from services.reports.render import Renderer
from tests.unit.reports.cases import (
    CASES,
    classification_of,
    make_report,
    make_summary,
    with_scan,
)
from tests.unit.reports.reading import coarse_pages

REFERENCES = Path(__file__).parent / "references"
PAGES = ("complete", "letter", "reviewed", "nobody", "turned_away", "unexplained")
# In gray levels of 255. Another rasterizer stays below both (3.4 and 15 with poppler), as does a
# page whose lines stand a fraction of a point lower; a lost color bar or bar of a class does not.
MEAN_MAX = 4.0
PLACE_MAX = 20.0
# A place is so many coarse values high and wide: 20 points of paper.
PLACE = 5

Page = NDArray[np.uint8]


def reference(case: str) -> Page:
    with Image.open(REFERENCES / f"{case}.png") as opened:
        return np.asarray(opened)


def differences(page: Page, other: Page) -> tuple[float, float]:
    """The mean difference in gray, and how much the most different place is lighter or darker."""
    apart = page.astype(np.float64) - other
    places = sliding_window_view(apart, (PLACE, PLACE)).mean(axis=(2, 3))
    return float(np.abs(apart).mean()), float(np.abs(places).max())


def alike(page: Page, other: Page) -> bool:
    mean, place = differences(page, other)
    print(f"mean {mean:.2f}, most different place {place:.0f}")
    return mean < MEAN_MAX and place < PLACE_MAX


@pytest.mark.parametrize("case", PAGES)
def test_page_looks_like_its_reference(
    renderer: Renderer, report_request: ReportRequest, case: str
) -> None:
    (page,) = coarse_pages(renderer.render(CASES[case](report_request)).content)
    assert page.shape == reference(case).shape
    assert alike(page, reference(case))


def test_summary_looks_like_its_reference(renderer: Renderer) -> None:
    (page,) = coarse_pages(renderer.render_summary(make_summary()).content)
    assert page.shape == reference("summary").shape
    assert alike(page, reference("summary"))


@pytest.mark.parametrize("other", ["reviewed", "turned_away", "unexplained", "nobody"])
def test_pages_that_differ_are_told_apart(other: str) -> None:
    assert not alike(reference("complete"), reference(other))


def test_a_lost_bar_is_told_apart(renderer: Renderer, report_request: ReportRequest) -> None:
    found = classification_of(report_request)
    shares = Probabilities(glioma=0.2, meningioma=0.071, no_tumor=0.0049, pituitary=0.0121)
    request = with_scan(
        report_request, classification=found.model_copy(update={"probabilities": shares})
    )
    (page,) = coarse_pages(renderer.render(request).content)
    assert not alike(page, reference("complete"))


def draw() -> None:
    """Write the references."""
    REFERENCES.mkdir(exist_ok=True)
    renderer = Renderer()
    contents = {case: renderer.render(CASES[case](make_report())).content for case in PAGES}
    contents["summary"] = renderer.render_summary(make_summary()).content
    for case, content in contents.items():
        (page,) = coarse_pages(content)
        Image.fromarray(page).save(REFERENCES / f"{case}.png", optimize=True)


if __name__ == "__main__":
    draw()
