"""Several files through the API at once: submit, wait, fetch the pictures and the report."""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from neuroscan.client import ApiProblem, Artefact, Client, ClientError, NoAnswer
from neuroscan.contracts.enums import DisplayConvention, ScanState
from neuroscan.contracts.problems import BadImage, NeuroscanError, Problem, Unavailable
from neuroscan.contracts.scan import ScanView

IN_FLIGHT = 4
SCAN_LIMIT_S = 300.0
_KEPT: tuple[Artefact, ...] = ("slice.png", "heatmap.png", "overlay.png", "report.pdf")


class UnreadableFile(BadImage):
    """The file can't be opened on this machine; it was never sent."""

    code: ClassVar[str] = "unreadable_file"
    title: ClassVar[str] = "The file can't be opened"


class NotSaved(NeuroscanError):
    """The scan completed, but its pictures could not be written."""

    code: ClassVar[str] = "not_saved"
    title: ClassVar[str] = "The pictures can't be saved"


@dataclass(frozen=True)
class Upload:
    """A file and what is said about it."""

    path: Path
    patient_id: str | None = None
    frame: int | None = None
    pixel_spacing_mm: tuple[float, float] | None = None
    display_convention: DisplayConvention | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a file: a scan, or a problem, or a scan whose pictures could not be kept."""

    path: Path
    scan: ScanView | None = None
    problem: Problem | None = None
    artefacts: tuple[Path, ...] = ()

    @property
    def succeeded(self) -> bool:
        """True for a completed scan whose artefacts are where they were asked for."""
        completed = self.scan is not None and self.scan.state is ScanState.COMPLETED
        return completed and self.problem is None

    @property
    def complaint(self) -> Problem | None:
        """Why it did not succeed, as far as anybody said."""
        if self.problem or self.scan is None:
            return self.problem
        return next((stage.problem for stage in self.scan.stages if stage.problem), None)


def analyze_all(
    client: Client, uploads: Sequence[Upload], out: Path | None = None
) -> Iterator[Outcome]:
    """Every file's outcome, in the order of the files, `IN_FLIGHT` of them at a time."""
    stems = unique_stems([upload.path for upload in uploads])
    pool = ThreadPoolExecutor(IN_FLIGHT)
    try:
        yield from pool.map(partial(_analyze, client, out), uploads, stems)
    finally:
        # After Ctrl-C: the caller closes the client, which ends the calls that are on their way.
        pool.shutdown(wait=False, cancel_futures=True)


def unique_stems(paths: Sequence[Path]) -> list[str]:
    """A name for each file's results: its stem, with a number where an earlier file has it."""
    wanted = Counter(path.stem.casefold() for path in paths)
    taken: set[str] = set()
    stems = []
    for path in paths:
        stem, number = path.stem, 1
        # A made-up name must not be one that another file has a right to.
        while stem.casefold() in taken or (number > 1 and stem.casefold() in wanted):
            number += 1
            stem = f"{path.stem}-{number}"
        taken.add(stem.casefold())
        stems.append(stem)
    return stems


def _analyze(client: Client, out: Path | None, upload: Upload, stem: str) -> Outcome:
    try:
        content = upload.path.read_bytes()
    except OSError as error:
        problem = UnreadableFile(f"{error.strerror or error}. Check the path.").problem()
        return Outcome(upload.path, problem=problem)
    scan: ScanView | None = None
    try:
        scan = client.submit(
            content,
            patient_id=upload.patient_id,
            frame=upload.frame,
            pixel_spacing_mm=upload.pixel_spacing_mm,
            display_convention=upload.display_convention,
        )
        scan = client.wait(scan.id, SCAN_LIMIT_S)
        artefacts = _save(client, scan, out, stem) if out else ()
    except ClientError as error:
        return Outcome(upload.path, scan=scan, problem=_problem(error))
    except OSError as error:
        problem = NotSaved(f"{error.strerror or error}. Check the folder of --out.").problem()
        return Outcome(upload.path, scan=scan, problem=problem)
    return Outcome(upload.path, scan=scan, artefacts=artefacts)


def _save(client: Client, scan: ScanView, out: Path, stem: str) -> tuple[Path, ...]:
    """Keep what there is; a failed scan has some of it."""
    saved = []
    for name in _KEPT:
        try:
            content = client.artefact(scan.id, name)
        except ApiProblem:
            if scan.state is ScanState.COMPLETED:
                raise
            continue
        path = out / f"{stem}.{name}"
        path.write_bytes(content)
        saved.append(path)
    return tuple(saved)


def _problem(error: ClientError) -> Problem:
    if isinstance(error, ApiProblem):
        return error.problem
    if isinstance(error, NoAnswer):
        return Unavailable(str(error)).problem()
    return NeuroscanError(str(error)).problem()
