"""Archives are whole, and never held whole."""

import io
import random
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

from hypothesis import given
from hypothesis import strategies as some

from services.gateway.zips import ZipEntry, zip_stream

MIB = 1024 * 1024


@given(some.lists(some.lists(some.binary(max_size=2000), max_size=4), min_size=1))
def test_what_went_in_comes_out(files: list[list[bytes]]) -> None:
    entries = [ZipEntry(f"folder/{number}", parts) for number, parts in enumerate(files)]
    with ZipFile(io.BytesIO(b"".join(zip_stream(entries)))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [entry.name for entry in entries]
        for entry in entries:
            assert archive.read(entry.name) == b"".join(entry.parts)


def test_other_programs_can_read_it(tmp_path: Path) -> None:
    file = tmp_path / "made.zip"
    entries = [ZipEntry("a.txt", [b"text" * 99]), ZipEntry("b/c", [b"\0" * 99])]
    file.write_bytes(b"".join(zip_stream(entries)))
    command = [sys.executable, "-m", "zipfile", "-t", str(file)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Done testing" in shown.stdout


def test_memory_does_not_grow_with_the_archive() -> None:
    def entries() -> Iterator[ZipEntry]:
        for number in range(100):
            yield ZipEntry(f"{number}.png", [random.randbytes(MIB)])

    tracemalloc.start()
    sent = sum(map(len, zip_stream(entries())))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sent > 100 * MIB
    assert peak < 8 * MIB
