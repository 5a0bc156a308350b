"""`report.zip`: every PDF that there is, the summary and the table, made while it is sent.

Names in the archive are made of positions and ids: the sender's own file names stand only in the
table, so that no name can lead out of the folder where the archive is unpacked.
"""

from collections.abc import Callable, Iterable, Iterator

from neuroscan.storage import ObjectNotFound, Storage
from services.gateway.batches.results import ResultRow, csv_pieces
from services.gateway.zips import ZipEntry, zip_stream

TABLE = "results.csv"
SUMMARY = "summary.pdf"


def archive(
    storage: Storage,
    rows: Callable[[], Iterable[ResultRow]],
    summary: Callable[[], bytes | None],
) -> Iterator[bytes]:
    """The archive in pieces, with one PDF in memory at a time.

    A PDF that is not there (yet) is left out, and so is a summary that can't be made; the table,
    which comes last, names the PDFs that are in.
    Raises `Unavailable`, in the middle, when the store stops answering: half an archive must not
    look like a whole one.
    """
    return zip_stream(_entries(storage, rows, summary))


def _entries(
    storage: Storage,
    rows: Callable[[], Iterable[ResultRow]],
    summary: Callable[[], bytes | None],
) -> Iterator[ZipEntry]:
    packed: set[int] = set()
    for row in rows():
        if row.pdf is None:
            continue
        try:
            content = storage.get(row.pdf)
        except ObjectNotFound:
            continue
        packed.add(row.item.position)
        yield ZipEntry(pdf_name(row), [content])

    table_of_all = summary()
    if table_of_all is not None:
        yield ZipEntry(SUMMARY, [table_of_all])

    def name(row: ResultRow) -> str | None:
        return pdf_name(row) if row.item.position in packed else None

    yield ZipEntry(TABLE, csv_pieces(rows(), name))


def pdf_name(row: ResultRow) -> str:
    """The PDF's name in the archive; it sorts like the batch."""
    return f"{row.item.position + 1:04d}-{row.item.scan_id}.pdf"
