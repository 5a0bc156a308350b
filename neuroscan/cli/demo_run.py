"""What `neuroscan demo` does."""

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image
from rich.table import Table

from neuroscan import NOTICE
from neuroscan.cli.batch import Outcome, Upload, analyze_all
from neuroscan.cli.session import session
from neuroscan.cli.tables import NOTHING, faults, outcome_table, remarks, result_console
from neuroscan.contracts.enums import DisplayConvention, TumorClass
from neuroscan.contracts.scan import ScanView
from neuroscan.phantoms import PhantomFile, write_phantoms


def run_demo(out: Path) -> bool:
    """Run the demo; True when every scan completed and every artefact opens."""
    console = result_console()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="neuroscan-demo-") as folder:
        phantoms = write_phantoms(Path(folder))
        console.print(f"Made {len(phantoms)} test slices; starting the services.")
        # A folder of its own: a stack of the user's is left alone.
        data_dir = Path(folder) / "data"
        with session(console, url=None, key=None, data_dir=data_dir) as client:
            outcomes = list(analyze_all(client, _uploads(phantoms), out))
    console.print(outcome_table(outcomes))
    console.print(truth_table(phantoms, outcomes))
    console.print(
        "The lesions are drawn, so no label is the right one for them; side and size found are "
        "those of the region: the segmentation's, or the heat map's where that finds nothing."
    )
    for remark in remarks(outcomes):
        console.print(remark, style="yellow", markup=False, highlight=False)
    found = faults(outcomes) + [fault for outcome in outcomes for fault in _unreadable(outcome)]
    for fault in found:
        console.print(fault, style="red", markup=False, highlight=False)
    console.print(f"Heat maps, overlays and reports are in {out}/", highlight=False)
    console.print(NOTICE, style="bold")
    return not found


def _uploads(phantoms: Iterable[PhantomFile]) -> list[Upload]:
    return [
        Upload(
            phantom.path,
            pixel_spacing_mm=(phantom.truth.pixel_spacing_mm, phantom.truth.pixel_spacing_mm),
            display_convention=DisplayConvention(phantom.truth.display_convention),
        )
        for phantom in phantoms
    ]


def truth_table(phantoms: Sequence[PhantomFile], outcomes: Sequence[Outcome]) -> Table:
    """One row a phantom: lesion, side and size (mm), each as expected and as found."""
    table = Table(title="expected and found")
    for heading in ("file", "lesion", "found", "side", "found", "size", "found"):
        table.add_column(heading)
    for phantom, outcome in zip(phantoms, outcomes, strict=True):
        scan, lesion = outcome.scan, phantom.truth.lesion
        table.add_row(
            outcome.path.name,
            "yes" if lesion else "no",
            _found_lesion(scan),
            lesion.side if lesion else NOTHING,
            _found_side(scan),
            _size(lesion.longest_mm, lesion.perpendicular_mm) if lesion else NOTHING,
            _found_size(scan),
        )
    return table


def _found_lesion(scan: ScanView | None) -> str:
    if scan is None or scan.classification is None:
        return "?"
    return "no" if scan.classification.label is TumorClass.NO_TUMOR else "yes"


def _found_side(scan: ScanView | None) -> str:
    value = scan.spatial.hemisphere.value if scan and scan.spatial else None
    return value or NOTHING


def _found_size(scan: ScanView | None) -> str:
    value = scan.spatial.maximum_dimensions.value if scan and scan.spatial else None
    return _size(value[0], value[1]) if value else NOTHING


def _size(longest_mm: float, across_mm: float) -> str:
    return f"{longest_mm:.0f} x {across_mm:.0f} mm"


def _unreadable(outcome: Outcome) -> list[str]:
    """A line for each of the scan's files that does not open."""
    return [
        f"{path.name} can't be opened: {fault}"
        for path in outcome.artefacts
        if (fault := artefact_fault(path))
    ]


def artefact_fault(path: Path) -> str | None:
    """Why a PNG or PDF does not open; None when it does."""
    return _pdf_fault(path) if path.suffix == ".pdf" else _png_fault(path)


def _png_fault(path: Path) -> str | None:
    try:
        with Image.open(path, formats=["PNG"]) as image:
            image.load()
    except (OSError, SyntaxError) as error:
        return str(error)
    return None


def _pdf_fault(path: Path) -> str | None:
    content = path.read_bytes()
    if not content.startswith(b"%PDF-") or b"%%EOF" not in content[-1024:]:
        return "not a whole PDF"
    try:
        # Only where the development tools are installed.
        from pypdf import PdfReader
        from pypdf.errors import PyPdfError
    except ImportError:
        return None
    try:
        text = "".join(page.extract_text() for page in PdfReader(path).pages)
    except PyPdfError as error:
        return str(error)
    return None if NOTICE in " ".join(text.split()) else "its pages lack the notice"
