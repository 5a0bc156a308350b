"""A page to PDF bytes: Jinja2, then WeasyPrint, which may fetch nothing but `data:` URLs."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import ImageFile
from weasyprint import CSS, HTML
from weasyprint.document import Document
from weasyprint.text.fonts import FontConfiguration
from weasyprint.urls import URLFetcher, URLFetcherResponse

from neuroscan.contracts.report import ReportRequest, SummaryRequest
from services.reports.page import Page, compose
from services.reports.summary import compose_summary
from services.reports.wording import direction, unbroken

# WeasyPrint's import makes Pillow fill cut-off pictures with black, in the whole process.
ImageFile.LOAD_TRUNCATED_IMAGES = False

_TEMPLATES = Path(__file__).parent / "templates"
_PAGES_MAX = 2
_TEXT_CHARACTERS = (2400, 1200, 400)
# One sample a script and a symbol, so that fonts are found and mapped before the first report.
_WARM_UP = "<html lang=en><title>x</title><b>Ag</b> ж ع א 漢 あ 한 ●△⬚✕"


@dataclass(frozen=True)
class Rendered:
    """A PDF and the number of its pages."""

    content: bytes
    pages: int


class DataOnlyFetcher(URLFetcher):  # type: ignore[misc]  # WeasyPrint has no types
    """Refuses every URL but `data:`; the report brings its pictures along."""

    def __init__(self) -> None:
        super().__init__(allowed_protocols={"data"}, allow_redirects=False)

    def fetch(self, url: str, headers: dict[str, str] | None = None) -> URLFetcherResponse:
        """The content of a `data:` URL; ValueError for any other, which leaves the element out."""
        if not url.lower().startswith("data:"):
            raise ValueError("only data: URLs are fetched")
        return super().fetch(url, headers)


class Renderer:
    """Holds templates, style sheets and fonts; one thread at a time may use it."""

    def __init__(self) -> None:
        environment = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters.update(unbroken=unbroken, direction=direction)
        self._report = environment.get_template("report.html")
        self._summary = environment.get_template("summary.html")
        self._fonts = FontConfiguration()
        self._fetcher = DataOnlyFetcher()
        self._sheet_style = self._css("sheet.css")
        self._report_style = self._css("report.css")
        self._summary_style = self._css("summary.css")

    def warm_up(self) -> None:
        """Load the fonts of every script once."""
        _pdf(self._layout(_WARM_UP, self._report_style))

    def render(self, request: ReportRequest) -> Rendered:
        """The report: tagged (PDF/UA-1), one page or two, the same bytes for the same request.

        What just misses one page is set denser. Notes and comment that would need a third page are
        cut, and the page says so. Raises BadImage for a picture that can't be read.
        """
        page = compose(request)
        document = self._page_layout(page)
        if len(document.pages) > 1:
            denser = self._page_layout(replace(page, compact=True))
            if len(denser.pages) == 1:
                document = denser
        for shorter in _with_shorter_texts(page):
            if len(document.pages) <= _PAGES_MAX:
                break
            document = self._page_layout(shorter)
        return _pdf(document)

    def render_summary(self, request: SummaryRequest) -> Rendered:
        """A batch's table, as many pages as it needs; tagged, the same bytes for the same request.

        A thumbnail that can't be read is left out.
        """
        html = self._summary.render(page=compose_summary(request))
        return _pdf(self._layout(html, self._summary_style))

    def _page_layout(self, page: Page) -> Document:
        return self._layout(self._report.render(page=page), self._report_style)

    def _layout(self, html: str, style: CSS) -> Document:
        source = HTML(string=html, base_url=None, url_fetcher=self._fetcher)
        return source.render(stylesheets=[self._sheet_style, style], font_config=self._fonts)

    def _css(self, name: str) -> CSS:
        return CSS(
            string=(_TEMPLATES / name).read_text(encoding="utf-8"),
            font_config=self._fonts,
            url_fetcher=self._fetcher,
        )


def _pdf(document: Document) -> Rendered:
    # The title names the scan, never the patient; nothing here depends on clock or chance.
    content: bytes = document.write_pdf(pdf_variant="pdf/ua-1")
    return Rendered(content, len(document.pages))


def _with_shorter_texts(page: Page) -> Iterator[Page]:
    """The page with less and less of the notes and of the reader's comment."""
    for characters in _TEXT_CHARACTERS:
        verdict = page.verdict
        if verdict is not None:
            verdict = replace(verdict, comment=_cut(verdict.comment, characters))
        yield replace(page, notes=_cut(page.notes, characters), verdict=verdict)


def _cut(lines: list[str], characters: int) -> list[str]:
    whole = " / ".join(lines)
    if len(whole) <= characters:
        return lines
    return [f"{whole[:characters]}… ({len(whole) - characters} more characters are in the record.)"]
