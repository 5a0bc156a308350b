"""Zip archives that are sent while they are made: no more of one is held than one part."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from zipfile import ZIP_DEFLATED

from zipstream import ZipStream

ZIP_MEDIA_TYPE = "application/zip"


@dataclass(frozen=True)
class ZipEntry:
    """One file of an archive, in parts that are made as they are asked for."""

    name: str
    parts: Iterable[bytes]


def zip_stream(entries: Iterable[ZipEntry]) -> Iterator[bytes]:
    """The archive's bytes, made as they are asked for."""
    # Not stored as they are: some readers can't tell where such an entry ends in a stream.
    stream = ZipStream(compress_type=ZIP_DEFLATED, compress_level=1)
    for entry in entries:
        # The library takes an empty list for nothing given; an iterator it does not.
        stream.add(iter(entry.parts), entry.name)
        yield from stream.all_files()
    yield from stream.finalize()
