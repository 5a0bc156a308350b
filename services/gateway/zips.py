"""Zip archives that are sent while they are made: no more of one is held than one part."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

ZIP_MEDIA_TYPE = "application/zip"


@dataclass(frozen=True)
class ZipEntry:
    """One file of an archive. Pictures and PDFs are small already: `compress` is for text."""

    name: str
    parts: Iterable[bytes]
    compress: bool = False


class _Outbox:
    """Takes what the archive writes until it is sent. It can't be sought in, and zip copes."""

    def __init__(self) -> None:
        self._written = bytearray()

    def write(self, data: bytes, /) -> int:
        self._written += data
        return len(data)

    def flush(self) -> None:
        """Nothing to do: what was written waits to be taken."""

    def close(self) -> None:
        """Nothing to do: it ends with the archive."""

    def take(self) -> bytes:
        taken, self._written = bytes(self._written), bytearray()
        return taken


def zip_stream(entries: Iterable[ZipEntry]) -> Iterator[bytes]:
    """The archive's bytes, made as they are asked for."""
    outbox = _Outbox()
    moment = datetime.now(UTC).timetuple()[:6]
    with ZipFile(outbox, "w") as archive:
        for entry in entries:
            info = ZipInfo(entry.name, date_time=moment)
            info.compress_type = ZIP_DEFLATED if entry.compress else ZIP_STORED
            info.external_attr = 0o600 << 16
            with archive.open(info, "w") as file:
                for part in entry.parts:
                    file.write(part)
                    yield outbox.take()
            yield outbox.take()
    yield outbox.take()
