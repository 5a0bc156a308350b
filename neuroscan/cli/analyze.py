"""`neuroscan analyze FILE…`: slices in, a table or JSON lines out."""

from pathlib import Path
from typing import Annotated

import typer

from neuroscan.contracts.enums import DisplayConvention


def analyze(  # noqa: PLR0913 - one for each option
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="JPEG, PNG or DICOM.")],
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a file on standard output.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Folder for the pictures and the PDF reports."),
    ] = None,
    url: Annotated[str | None, typer.Option(help="A server; else the local stack.")] = None,
    key: Annotated[
        str | None, typer.Option(envvar="NEUROSCAN_KEY", help="The server's API key.")
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="The local stack's folder; without one, the stack that runs on neuroscan-data, "
            "else one for the call only."
        ),
    ] = None,
    patient: Annotated[
        str | None, typer.Option(help="Medical record number; the patient is made if new.")
    ] = None,
    frame: Annotated[
        int | None, typer.Option(min=0, help="Which frame of a multi-frame file, from 0.")
    ] = None,
    pixel_spacing: Annotated[
        str | None, typer.Option(help="In mm, as 0.49 or 0.49,0.49 (row, column).")
    ] = None,
    display_convention: Annotated[
        DisplayConvention | None, typer.Option(help="How the pictures show left and right.")
    ] = None,
) -> None:
    """Classify, explain, measure and report slices; exit code 1 if any file failed."""
    from neuroscan.cli.analyze_run import (
        AnalyzeRequest,
        parse_record_number,
        parse_spacing,
        run_analyze,
    )

    request = AnalyzeRequest(
        files=files,
        as_json=as_json,
        out=out,
        url=url,
        key=key,
        data_dir=data_dir,
        patient=parse_record_number(patient),
        frame=frame,
        pixel_spacing_mm=parse_spacing(pixel_spacing),
        display_convention=display_convention,
    )
    raise typer.Exit(0 if run_analyze(request) else 1)
