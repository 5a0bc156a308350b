"""The table of a batch's results, and the archive around it."""

import csv
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from neuroscan import NOTICE
from neuroscan.contracts.problems import NotAnImage, Unavailable
from neuroscan.ids import new_id
from neuroscan.storage import Storage
from services.gateway.batches.archive import archive, pdf_name
from services.gateway.batches.results import COLUMNS, ResultRow, csv_pieces, safe
from services.gateway.db.tables import BatchItem
from tests.scans import make_scan

FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\r=1", "\uff1d1", "=cmd|' /C calc'!A0")


def row(position: int, file: str = "a.png", *, pdf: str | None = None) -> ResultRow:
    scan = make_scan().model_copy(update={"id": new_id()})
    item = BatchItem(
        batch_id=new_id(),
        position=position,
        upload="u",
        upload_index=position,
        file=file,
        size=1,
        sha256="0" * 64,
        scan_id=scan.id,
    )
    return ResultRow(item=item, scan=scan, pdf=pdf)


def refused(position: int) -> ResultRow:
    item = row(position).item
    item.scan_id = None
    item.problem = NotAnImage().problem().model_dump(mode="json")
    return ResultRow(item=item, scan=None, pdf=None)


def table(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


@pytest.mark.parametrize("name", FORMULAS)
def test_no_file_name_becomes_a_formula(name: str) -> None:
    (line,) = table(b"".join(csv_pieces([row(0, name)])))
    assert line["file"] == f"'{name}"


def test_other_names_stay_as_they_are() -> None:
    for name in ("a=b.png", 'a "b", c.png', "花子.png", "a\nb", ""):
        assert safe(name) == name
        (line,) = table(b"".join(csv_pieces([row(0, name)])))
        assert line["file"] == name


def test_a_line_has_what_was_found() -> None:
    whole = row(3)
    scan = whole.scan
    assert scan is not None
    assert scan.classification is not None
    assert scan.spatial is not None
    line, bad = table(b"".join(csv_pieces([whole, refused(4)])))
    assert tuple(line) == COLUMNS
    assert (line["position"], line["scan_id"], line["state"]) == ("3", scan.id, scan.state)
    assert line["label"] == scan.classification.label
    assert float(line["p_glioma"]) == scan.classification.probabilities.glioma
    assert line["prediction_set"].split() == list(scan.classification.prediction_set)
    assert line["input_accepted"] == "true"
    assert line["tumor_volume_status"] == scan.spatial.tumor_volume.status
    assert line["report"] == (scan.report.href if scan.report else "")
    assert (bad["state"], bad["problem"], bad["scan_id"]) == ("refused", "not_an_image", "")
    assert set(bad.values()) == {"4", "a.png", "refused", "not_an_image", "", NOTICE}


def test_the_last_column_is_the_notice() -> None:
    assert COLUMNS[-1] == "notice"
    lines = table(b"".join(csv_pieces([row(0), refused(1)])))
    assert [line["notice"] for line in lines] == [NOTICE, NOTICE]


def test_the_archive_holds_what_there_is_and_says_what_there_is_not(tmp_path: Path) -> None:
    storage = Storage(tmp_path.as_uri())
    there, lost, early = row(0, "../../x", pdf="p/0"), row(1, pdf="p/1"), row(2)
    storage.put("p/0", b"%PDF-0")
    rows = [there, lost, early, refused(3)]
    content = b"".join(archive(storage, lambda: rows, lambda: b"%PDF-S"))
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        assert file.testzip() is None
        assert file.namelist() == [pdf_name(there), "summary.pdf", "results.csv"]
        assert file.read(pdf_name(there)) == b"%PDF-0"
        assert file.read("summary.pdf") == b"%PDF-S"
        lines = table(file.read("results.csv"))
    assert [line["report"] for line in lines] == [pdf_name(there), "", "", ""]
    assert pdf_name(there) == f"0001-{there.item.scan_id}.pdf"


def no_summary() -> None:
    return None


def test_a_summary_that_can_not_be_made_is_left_out(tmp_path: Path) -> None:
    content = b"".join(archive(Storage(tmp_path.as_uri()), lambda: [refused(3)], no_summary))
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        assert file.namelist() == ["results.csv"]


def test_a_store_that_is_away_breaks_the_archive_off(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    storage = Storage(folder.as_uri())
    storage.put("p/0", b"%PDF-0")
    pieces = archive(storage, lambda: [row(0, pdf="p/0"), row(1, pdf="p/1")], no_summary)
    next(pieces)
    folder.rename(tmp_path / "away")
    with pytest.raises(Unavailable):
        list(pieces)


def test_one_pdf_is_in_memory_at_a_time(tmp_path: Path) -> None:
    storage = Storage(tmp_path.as_uri())
    asked: list[int] = []

    def rows() -> Iterator[ResultRow]:
        for position in range(4):
            storage.put(f"p/{position}", b"%PDF" * 100)
            asked.append(position)
            yield row(position, pdf=f"p/{position}")

    pieces = archive(storage, rows, no_summary)
    for position in range(4):
        beginning = f"{position + 1:04d}-".encode()
        while beginning not in next(pieces):
            pass
        assert asked == list(range(position + 1))
