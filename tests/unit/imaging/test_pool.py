"""The pool of decoding processes: limits, crashes, callers at once."""

import os
import signal
import struct
import subprocess
import sys
import textwrap
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from neuroscan.contracts.problems import DecodeLimit, EmptyFile, TruncatedImage, Unavailable
from neuroscan.imaging.decode import decode
from neuroscan.imaging.pool import DecodePool
from tests.unit.imaging.files import dicom, encode, gradient, png_chunk, to_file

PNG = encode(gradient(), "PNG")


@pytest.fixture(scope="module")
def pool() -> Iterator[DecodePool]:
    made = DecodePool(processes=1, timeout_s=20, memory_mib=2048)
    made.warm_up()
    yield made
    made.close()


def _large_png(side: int) -> bytes:
    # Color with alpha: the most memory a pixel.
    header = struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)
    deflater = zlib.compressobj(1)
    row = b"\x00" + bytes(4 * side)
    data = b"".join(deflater.compress(row) for _ in range(side)) + deflater.flush()
    return PNG[:8] + b"".join(
        png_chunk(kind, body) for kind, body in ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    )


def _slow_file() -> bytes:
    # Seconds of work: noise, whose PNG takes its time.
    noise = np.random.default_rng(3).integers(0, 256, (5000, 5000), dtype=np.uint8)
    return to_file(dicom(noise))


SLOW = _slow_file()


def test_result_is_that_of_decode(pool: DecodePool) -> None:
    content = to_file(dicom(gradient(dtype=np.uint16), PixelSpacing=[0.5, 0.6]))
    there, here = pool.decode(content), decode(content)
    np.testing.assert_array_equal(there.slice.pixels, here.slice.pixels)
    assert there.slice.geometry == here.slice.geometry
    assert (there.sha256, there.slice_png) == (here.sha256, here.slice_png)


def test_problems_come_back_as_they_are(pool: DecodePool) -> None:
    with pytest.raises(EmptyFile):
        pool.decode(b"")
    with pytest.raises(TruncatedImage):
        pool.decode(PNG[:-20])


def test_many_callers_share_the_processes(pool: DecodePool) -> None:
    files = [encode(np.full((40, 40), level, dtype=np.uint8), "PNG") for level in range(24)]
    with ThreadPoolExecutor(8) as callers:
        found = list(callers.map(pool.decode, files))
    assert [int(decoded.slice.pixels[0, 0]) for decoded in found] == list(range(24))


def test_the_largest_picture_fits_into_the_default_memory(pool: DecodePool) -> None:
    assert pool.decode(_large_png(5600)).width == 5600


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
def test_killed_idle_process_is_replaced(pool: DecodePool, sent: signal.Signals) -> None:
    (process,) = pool.warm_up()
    os.kill(process, sent)
    assert pool.decode(PNG).width == 64
    assert pool.warm_up() != [process]


def test_process_killed_while_it_decodes_costs_no_upload(pool: DecodePool) -> None:
    (process,) = pool.warm_up()
    with ThreadPoolExecutor(1) as caller:
        decoding = caller.submit(pool.decode, SLOW)
        time.sleep(0.3)
        assert not decoding.done()
        os.kill(process, signal.SIGKILL)
        assert decoding.result().width == 5000


def test_process_killed_over_and_over_is_a_decode_limit(pool: DecodePool) -> None:
    with ThreadPoolExecutor(1) as caller:
        decoding = caller.submit(pool.decode, SLOW)
        killed: set[int] = set()
        while not decoding.done():
            for process in _children() - killed:
                time.sleep(0.2)
                killed.add(process)
                # One that the pool has given up is ended by the pool itself.
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            time.sleep(0.02)
        with pytest.raises(DecodeLimit):
            decoding.result()
    assert len(killed) >= 2
    assert pool.decode(PNG).width == 64


def _children() -> set[int]:
    # Decoding processes of this one; Python's resource tracker is a child as well.
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            command = (entry / "cmdline").read_text()
        except OSError:
            continue
        if parent == os.getpid() and "spawn_main" in command:
            found.add(int(entry.name))
    return found


def test_decode_that_takes_too_long_is_ended() -> None:
    pool = DecodePool(processes=1, timeout_s=1, memory_mib=2048)
    try:
        pool.decode(PNG)
        began = time.monotonic()
        with pytest.raises(DecodeLimit):
            pool.decode(SLOW)
        assert time.monotonic() - began < 10
        assert pool.decode(PNG).width == 64
    finally:
        pool.close()


def test_decode_that_takes_too_much_memory_is_ended() -> None:
    pool = DecodePool(processes=1, timeout_s=20, memory_mib=350)
    try:
        assert pool.decode(PNG).width == 64
        with pytest.raises(DecodeLimit):
            pool.decode(_large_png(5600))
        assert pool.decode(PNG).width == 64
    finally:
        pool.close()


def test_process_that_cannot_start_is_said_and_ends() -> None:
    # Too little for the decoders themselves.
    pool = DecodePool(processes=1, timeout_s=20, memory_mib=30)
    try:
        with pytest.raises(Unavailable):
            pool.warm_up()
        with pytest.raises(DecodeLimit):
            pool.decode(PNG)
    finally:
        pool.close()


def test_closed_pool_takes_nothing_and_leaves_nothing() -> None:
    pool = DecodePool(processes=2, timeout_s=20, memory_mib=2048)
    processes = pool.warm_up()
    assert len(set(processes)) == 2
    pool.close()
    with pytest.raises(Unavailable):
        pool.decode(PNG)
    assert not _children() & set(processes)


def test_processes_die_with_their_parent() -> None:
    script = """
        import os, signal
        from neuroscan.imaging.pool import DecodePool
        if __name__ == "__main__":
            print(DecodePool(1, 20, 2048).warm_up()[0], flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False
    )
    process = Path("/proc") / ended.stdout.strip()
    deadline = time.monotonic() + 5
    while process.exists() and "State:\tZ" not in (process / "status").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_caller_loads_no_decoder() -> None:
    script = "import sys, neuroscan.imaging.pool; print([*sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert "pebble" in loaded
    assert not any(f"'{name}'" in loaded for name in ("PIL", "pydicom", "gdcm", "torch", "cv2"))
