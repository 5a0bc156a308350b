"""`report.zip`: every PDF that there is, and the table, made while it is sent.

Names in the archive are made of positions and ids: the sender's own file names stand only in the
table, so that no name can lead out of the folder where the archive is unpacked.
"""

from collections.abc import Callable, Iterable, Iterator

from neuroscan.storage import ObjectNotFound, Storage
from services.gateway.batches.results import ResultRow, csv_pieces
from services.gateway.zips import ZipEntry, zip_stream

TABLE = "results.csv"


def archive(storage: Storage, rows: Callable[[], Iterable[ResultRow]]) -> Iterator[bytes]:
    """The archive in pieces, with one PDF in memory at a time.

    A PDF that is not there (yet) is left out; the table, which comes last, names those that are in.
    Raises `Unavailable`, in the middle, when the store stops answering: half an archive must not
    look like a whole one.
    """
    return zip_stream(_entries(storage, rows))


def _entries(storage: Storage, rows: Callable[[], Iterable[ResultRow]]) -> Iterator[ZipEntry]:
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

    def name(row: ResultRow) -> str | None:
        return pdf_name(row) if row.item.position in packed else None

    yield ZipEntry(TABLE, csv_pieces(rows(), name))


def pdf_name(row: ResultRow) -> str:
    """The PDF's name in the archive; it sorts like the batch."""
    return f"{row.item.position + 1:04d}-{row.item.scan_id}.pdf"
