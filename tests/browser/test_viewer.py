"""The picture: window, zoom, pan, ruler, outlines, methods, what is known of sides and scale."""

import re
from pathlib import Path

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import submit
from tests.browser.steps import DEFAULT_METHOD, OTHER_METHOD, go, wait_until

_PAINTED = """() => {
  window.painted = [];
  const { prototype } = OffscreenCanvasRenderingContext2D;
  const { fillText } = prototype;
  prototype.fillText = function (text, ...rest) {
    window.painted.push(text);
    return fillText.call(this, text, ...rest);
  };
}"""
ZOOMED = re.compile(r"Zoom (?!1\.0×)")


@pytest.fixture
def viewer(page: Page, completed: str) -> Locator:
    go(page, f"/scans/{completed}")
    viewer = page.locator("ns-viewer")
    expect(viewer.get_by_text("strongest evidence")).to_be_visible()
    return viewer


def canvas_of(viewer: Locator) -> Locator:
    return viewer.locator("canvas")


def pixels(viewer: Locator) -> str:
    """What is painted, after the next frame."""
    drawn: str = canvas_of(viewer).evaluate(
        "canvas => new Promise(done => requestAnimationFrame(() => requestAnimationFrame("
        "() => done(canvas.toDataURL()))))"
    )
    return drawn


def drag(page: Page, viewer: Locator, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag between two places in shares of the canvas."""
    box = canvas_of(viewer).bounding_box()
    assert box
    (x0, y0), (x1, y1) = start, end
    page.mouse.move(box["x"] + x0 * box["width"], box["y"] + y0 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + x1 * box["width"], box["y"] + y1 * box["height"], steps=6)
    page.mouse.up()


def test_dragging_changes_the_window_and_n_brings_it_back(page: Page, viewer: Locator) -> None:
    before = pixels(viewer)
    drag(page, viewer, (0.5, 0.5), (0.4, 0.6))
    expect(viewer.locator(".top-left")).not_to_contain_text("W 255  L 128")
    assert pixels(viewer) != before
    canvas_of(viewer).press("n")
    expect(viewer.locator(".top-left")).to_contain_text("W 255  L 128")


def test_wheel_keys_and_buttons_zoom_and_pan(page: Page, viewer: Locator) -> None:
    canvas_of(viewer).click()
    page.mouse.wheel(0, -400)
    expect(viewer.locator(".top-left")).to_contain_text(ZOOMED)
    canvas_of(viewer).press("0")
    expect(viewer.locator(".top-left")).to_contain_text("Zoom 1.0×")
    viewer.get_by_role("button", name="Larger").click()
    before = pixels(viewer)
    canvas_of(viewer).press("p")
    canvas_of(viewer).press("ArrowRight")
    after_key = pixels(viewer)
    assert after_key != before
    drag(page, viewer, (0.5, 0.5), (0.6, 0.5))
    assert pixels(viewer) != after_key


def test_the_wheel_scrolls_the_page_while_nobody_works_on_the_picture(
    page: Page, viewer: Locator
) -> None:
    page.set_viewport_size({"width": 1280, "height": 500})
    canvas_of(viewer).hover()
    page.mouse.wheel(0, 200)
    wait_until(page, "scrollY > 0")
    expect(viewer.locator(".top-left")).to_contain_text("Zoom 1.0×")


def test_the_value_under_the_pointer_is_the_files(page: Page, viewer: Locator) -> None:
    drawn = canvas_of(viewer).bounding_box()
    assert drawn
    page.mouse.move(drawn["x"] + drawn["width"] / 2, drawn["y"] + drawn["height"] / 2)
    expect(viewer.locator(".bottom-left")).to_contain_text(re.compile(r"x 12[789]  y 12[789]"))
    expect(viewer.locator(".bottom-left")).to_contain_text(re.compile(r"value \d+"))


def test_outlines_and_heat_map_can_be_switched_off(viewer: Locator) -> None:
    everything = pixels(viewer)
    viewer.get_by_role("checkbox", name="Map", exact=True).uncheck()
    without_map = pixels(viewer)
    assert without_map != everything
    canvas_of(viewer).press("h")
    assert pixels(viewer) != without_map
    expect(viewer.get_by_label("Strength of the heat map")).to_have_value("0")
    viewer.get_by_role("checkbox", name="Text").uncheck()
    expect(viewer.locator(".picture-text")).to_be_hidden()


def test_another_method_is_made_when_asked_for(viewer: Locator) -> None:
    before = pixels(viewer)
    other = viewer.get_by_role("button", name=OTHER_METHOD, exact=True)
    other.click()
    expect(other).to_have_attribute("aria-pressed", "true")
    expect(viewer.get_by_text("strongest evidence")).to_be_visible(timeout=30_000)
    assert pixels(viewer) != before
    canvas_of(viewer).press("2")
    second = viewer.get_by_role("button", name="Grad-CAM", exact=True)
    expect(second).to_have_attribute("aria-pressed", "true")


def test_the_ruler_reads_millimeters_where_the_spacing_is_known(
    page: Page, viewer: Locator
) -> None:
    viewer.get_by_role("button", name="Ruler").click()
    before = pixels(viewer)
    drag(page, viewer, (0.4, 0.5), (0.6, 0.5))
    assert pixels(viewer) != before
    expect(viewer.locator(".bottom-right")).to_contain_text("mm")
    canvas_of(viewer).press("Escape")
    assert pixels(viewer) == before


def test_without_orientation_and_spacing_neither_sides_nor_millimeters_are_claimed(
    page: Page, api: httpx.Client, samples: list[Path]
) -> None:
    scan_id = submit(api, samples[0], pixel_spacing_mm="", display_convention="unknown")
    go(page, f"/scans/{scan_id}")
    viewer = page.locator("ns-viewer")
    expect(viewer.get_by_text("side unknown", exact=True)).to_be_visible()
    expect(viewer.locator(".sides .left")).to_have_count(0)
    expect(viewer.locator(".bottom-right")).to_contain_text("scale estimated only")
    expect(viewer.locator(".bottom-right")).to_contain_text("px")


def test_the_three_pictures_set_the_large_one(page: Page, viewer: Locator) -> None:
    strip = page.get_by_role("group", name="The three pictures")
    everything = pixels(viewer)
    strip.get_by_role("button", name="Original").click()
    original = pixels(viewer)
    strip.get_by_role("button", name=DEFAULT_METHOD).click()
    heat = pixels(viewer)
    strip.get_by_role("button", name="Overlay").click()
    assert pixels(viewer) == everything
    assert len({everything, original, heat}) == 3


def test_a_changed_view_is_none_of_the_three_pictures(page: Page, viewer: Locator) -> None:
    strip = page.get_by_role("group", name="The three pictures")
    pressed = strip.locator("[aria-pressed=true]")
    expect(pressed).to_have_text(["Overlay"])
    viewer.get_by_role("checkbox", name="Map", exact=True).uncheck()
    expect(pressed).to_have_count(0)
    viewer.get_by_role("checkbox", name="Map", exact=True).check()
    expect(pressed).to_have_text(["Overlay"])


def test_a_saved_view_says_what_it_is(page: Page, viewer: Locator, tmp_path: Path) -> None:
    page.evaluate(_PAINTED)
    with page.expect_download() as download:
        viewer.get_by_role("button", name="Save this view as a PNG").click()
    painted = page.evaluate("window.painted")
    text = " ".join(painted)
    assert "Research use only. Not for diagnosis." in text
    assert f"{DEFAULT_METHOD} heat map" in text
    assert {"R", "L"} <= set(painted)
    assert any(each.endswith(" mm") for each in painted)
    download.value.save_as(tmp_path / "view.png")
    with Image.open(tmp_path / "view.png") as view:
        width, height = canvas_of(viewer).evaluate("canvas => [canvas.width, canvas.height]")
        assert view.width == width
        # Light letters on the black band below the picture.
        band = view.convert("L").crop((0, height, view.width, view.height))
        assert band.histogram()[150:] != [0] * 106


def test_the_help_sheet_lists_the_keys(page: Page, viewer: Locator) -> None:
    canvas_of(viewer).press("?")
    sheet = page.get_by_role("dialog", name="Keys and gestures")
    expect(sheet).to_contain_text("Outline of the segmentation on or off")
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    expect(canvas_of(viewer)).to_be_focused()


def test_two_scans_are_compared_in_step(page: Page, completed: str) -> None:
    go(page, f"/scans/{completed}/compare/earlier")
    viewers = page.locator("ns-viewer")
    expect(viewers).to_have_count(2)
    expect(viewers.first.locator(".top-left")).to_contain_text("Zoom 1.0×")
    viewers.first.get_by_role("button", name="Larger").click()
    for viewer in viewers.all():
        expect(viewer.locator(".top-left")).to_contain_text(ZOOMED)
