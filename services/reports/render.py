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

from neuroscan.contracts.report import ReportRequest
from services.reports.page import Page, compose

# WeasyPrint's import makes Pillow fill cut-off pictures with black, in the whole process.
ImageFile.LOAD_TRUNCATED_IMAGES = False

_TEMPLATES = Path(__file__).parent / "templates"
_PAGES_MAX = 2
_NOTES_CHARACTERS = (2400, 1200, 400)
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
    """Holds templates, style sheet and fonts; one thread at a time may use it."""

    def __init__(self) -> None:
        environment = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._template = environment.get_template("report.html")
        self._fonts = FontConfiguration()
        self._fetcher = DataOnlyFetcher()
        self._style = CSS(
            string=(_TEMPLATES / "report.css").read_text(encoding="utf-8"),
            font_config=self._fonts,
            url_fetcher=self._fetcher,
        )

    def warm_up(self) -> None:
        """Load the fonts of every script once."""
        self._layout(_WARM_UP).write_pdf(pdf_variant="pdf/ua-1")

    def render(self, request: ReportRequest) -> Rendered:
        """The report: tagged (PDF/UA-1), one page or two, the same bytes for the same request.

        Notes that would need a third page are cut, and the page says so. Raises BadImage for a
        picture that can't be read.
        """
        page = compose(request)
        document = self._layout(self._template.render(page=page))
        for shorter in _with_shorter_notes(page):
            if len(document.pages) <= _PAGES_MAX:
                break
            document = self._layout(self._template.render(page=shorter))
        # The title names the scan, never the patient; nothing here depends on clock or chance.
        content: bytes = document.write_pdf(pdf_variant="pdf/ua-1")
        return Rendered(content, len(document.pages))

    def _layout(self, html: str) -> Document:
        source = HTML(string=html, base_url=None, url_fetcher=self._fetcher)
        return source.render(stylesheets=[self._style], font_config=self._fonts)


def _with_shorter_notes(page: Page) -> Iterator[Page]:
    whole = " / ".join(page.notes)
    for characters in _NOTES_CHARACTERS:
        if len(whole) > characters:
            rest = f"… ({len(whole) - characters} more characters are in the record.)"
            yield replace(page, notes=[whole[:characters] + rest])
