"""What `neuroscan analyze` does."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import track

from neuroscan import NOTICE
from neuroscan.cli.batch import Outcome, Upload, analyze_all
from neuroscan.cli.session import session
from neuroscan.cli.tables import faults, outcome_table, remarks, result_console
from neuroscan.client import Client
from neuroscan.contracts.enums import DisplayConvention
from neuroscan.contracts.patient import PatientCreate, PatientSearch


@dataclass(frozen=True)
class AnalyzeRequest:
    """The command's arguments."""

    files: list[Path]
    as_json: bool = False
    out: Path | None = None
    url: str | None = None
    key: str | None = None
    data_dir: Path | None = None
    patient: str | None = None
    frame: int | None = None
    pixel_spacing_mm: tuple[float, float] | None = None
    display_convention: DisplayConvention | None = None


def run_analyze(request: AnalyzeRequest) -> bool:
    """Analyze the files and print what came out; True when every file succeeded."""
    # Standard output holds the result with its notice, and nothing else.
    console = Console(stderr=True)
    if request.out:
        request.out.mkdir(parents=True, exist_ok=True)
    with session(console, url=request.url, key=request.key, data_dir=request.data_dir) as client:
        patient_id = find_patient(client, request.patient) if request.patient else None
        uploads = [
            Upload(
                path,
                patient_id=patient_id,
                frame=request.frame,
                pixel_spacing_mm=request.pixel_spacing_mm,
                display_convention=request.display_convention,
            )
            for path in request.files
        ]
        outcomes = track(
            analyze_all(client, uploads, request.out),
            description="Analyzing",
            total=len(uploads),
            console=console,
            disable=not console.is_terminal,
        )
        return _print_json(outcomes) if request.as_json else _print_table(outcomes)


def parse_spacing(text: str | None) -> tuple[float, float] | None:
    """(row, column) in mm from `0.49` or `0.49,0.49`; raises typer's error for anything else."""
    if text is None:
        return None
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    match numbers:
        case [both]:
            return both, both
        case [row, column]:
            return row, column
        case _:
            raise typer.BadParameter("Give it as 0.49 or 0.49,0.49.", param_hint="--pixel-spacing")


def parse_record_number(text: str | None) -> str | None:
    """A medical record number as the server keeps it; raises typer's error for one it refuses."""
    if text is None:
        return None
    try:
        return PatientCreate(medical_record_number=text).medical_record_number
    except ValidationError:
        # Not repeated: a slip of the hand may have put a name here.
        raise typer.BadParameter(
            "A medical record number has 1 to 64 characters.", param_hint="--patient"
        ) from None


def find_patient(client: Client, number: str) -> str:
    """The id of the patient with this medical record number, who is made if there is none."""
    for patient in client.search_patients(PatientSearch(q=number, limit=200)).items:
        if patient.medical_record_number == number:
            return patient.id
    return client.create_patient(PatientCreate(medical_record_number=number)).id


def _print_json(outcomes: Iterable[Outcome]) -> bool:
    succeeded = True
    for outcome in outcomes:
        typer.echo(json_line(outcome))
        succeeded &= outcome.succeeded
    typer.echo(NOTICE, err=True)
    return succeeded


def json_line(outcome: Outcome) -> str:
    """The scan object plus `file`; `{file, problem}` when there is no scan."""
    line: dict[str, object] = {"file": str(outcome.path)}
    if outcome.scan is not None:
        line |= outcome.scan.model_dump(mode="json")
    if outcome.problem is not None:
        line["problem"] = outcome.problem.model_dump(mode="json")
    return json.dumps(line, ensure_ascii=False)


def _print_table(outcomes: Iterable[Outcome]) -> bool:
    finished = list(outcomes)
    results = result_console()
    results.print(outcome_table(finished))
    for remark in remarks(finished):
        results.print(remark, style="yellow", markup=False, highlight=False)
    for fault in faults(finished):
        results.print(fault, style="red", markup=False, highlight=False)
    results.print(NOTICE, style="bold")
    return all(outcome.succeeded for outcome in finished)
