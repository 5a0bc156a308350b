"""`report.zip`: every PDF that there is, and the table, made while it is sent.

Names in the archive are made of positions and ids: the sender's own file names stand only in the
table, so that no name can lead out of the folder where the archive is unpacked.
"""

from collections.abc import Callable, Iterable, Iterator
from zipfile import ZIP_DEFLATED

from zipstream import ZipStream

from neuroscan.storage import ObjectNotFound, Storage
from services.gateway.batches.results import ResultRow, csv_pieces

TABLE = "results.csv"


def archive(storage: Storage, rows: Callable[[], Iterable[ResultRow]]) -> Iterator[bytes]:
    """The archive in pieces, with one PDF in memory at a time.

    A PDF that is not there (yet) is left out; the table, which comes last, names those that are in.
    Raises `Unavailable`, in the middle, when the store stops answering: half an archive must not
    look like a whole one.
    """
    packed: set[int] = set()
    # Not stored as they are: some readers can't tell where such an entry ends in a stream.
    stream = ZipStream(compress_type=ZIP_DEFLATED, compress_level=1)
    for row in rows():
        if row.pdf is None:
            continue
        try:
            stream.add(storage.get(row.pdf), pdf_name(row))
        except ObjectNotFound:
            continue
        packed.add(row.item.position)
        yield from stream.all_files()

    def name(row: ResultRow) -> str | None:
        return pdf_name(row) if row.item.position in packed else None

    stream.add(b"".join(csv_pieces(rows(), name)), TABLE)
    yield from stream.finalize()


def pdf_name(row: ResultRow) -> str:
    """The PDF's name in the archive; it sorts like the batch."""
    return f"{row.item.position + 1:04d}-{row.item.scan_id}.pdf"
