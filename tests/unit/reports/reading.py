"""A PDF read back: its text, its structure, its pages as pictures."""

from io import BytesIO

import numpy as np
import pypdfium2
from numpy.typing import NDArray
from pypdf import PdfReader
from pypdf.generic import ArrayObject, DictionaryObject

from neuroscan.contracts.report import ReportRequest
from services.reports.render import Rendered, Renderer

# Points of paper that become one value of a coarse page.
COARSE_PT = 4


def read(renderer: Renderer, request: ReportRequest) -> PdfReader:
    return opened(renderer.render(request))


def opened(rendered: Rendered) -> PdfReader:
    return PdfReader(BytesIO(rendered.content))


def text_of(reader: PdfReader) -> str:
    """All text, with one space for any run of white space."""
    return " ".join(" ".join(page.extract_text() for page in reader.pages).split())


def dictionary(parent: DictionaryObject, key: str) -> DictionaryObject:
    found = parent[key].get_object()
    assert isinstance(found, DictionaryObject)
    return found


def embedded_fonts(reader: PdfReader) -> set[str]:
    """Names of the fonts; fails when one is not embedded."""
    names = set()
    for page in reader.pages:
        fonts = dictionary(dictionary(page, "/Resources"), "/Font")
        for key in fonts:
            descendants = dictionary(fonts, key)["/DescendantFonts"]
            assert isinstance(descendants, ArrayObject)
            descendant = descendants[0].get_object()
            assert isinstance(descendant, DictionaryObject)
            assert {"/FontFile2", "/FontFile3"} & set(dictionary(descendant, "/FontDescriptor"))
            names.add(str(descendant["/BaseFont"]))
    assert names
    return names


def structure(reader: PdfReader) -> list[tuple[str, str]]:
    """The tags in reading order, each with its alternative text."""
    root = dictionary(dictionary(reader.trailer, "/Root"), "/StructTreeRoot")
    found: list[tuple[str, str]] = []

    def walk(element: object) -> None:
        if not isinstance(element, DictionaryObject):
            return
        if "/S" in element:
            found.append((str(element["/S"]), str(element.get("/Alt", ""))))
        if "/K" in element:
            children = element["/K"].get_object()
            for child in children if isinstance(children, ArrayObject) else [children]:
                walk(child.get_object() if child is not None else None)

    walk(root)
    return found


def coarse_pages(content: bytes) -> list[NDArray[np.uint8]]:
    """Each page in gray, (H, W), one value for every `COARSE_PT` points: layout, not letters."""
    pages = []
    document = pypdfium2.PdfDocument(content)
    try:
        for page in document:
            fine = np.asarray(page.render(scale=1, grayscale=True).to_numpy(), dtype=np.float64)
            fine = fine.reshape(fine.shape[0], fine.shape[1])
            height, width = (side // COARSE_PT for side in fine.shape)
            blocks = fine[: height * COARSE_PT, : width * COARSE_PT].reshape(
                height, COARSE_PT, width, COARSE_PT
            )
            pages.append(np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8))
    finally:
        document.close()
    return pages
