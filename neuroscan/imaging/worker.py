"""What runs inside a decoding process: its limits, and one guarded decode at a time.

The decoders are imported by the process only, after its limits are set; the gateway never loads
them.
"""

import logging
import os
import resource
import signal
import warnings
from dataclasses import dataclass

from neuroscan.contracts.enums import DisplayConvention
from neuroscan.contracts.problems import DecodeLimit, NeuroscanError
from neuroscan.imaging.decoded import Decoded
from neuroscan.process import end_with_parent


@dataclass(frozen=True)
class DecodeTask:
    """The arguments of `decode`."""

    content: bytes
    declared_type: str | None
    file_name_suffix: str | None
    frame: int | None
    spacing_mm: tuple[float, float] | None
    convention: DisplayConvention


@dataclass(frozen=True)
class Unexpected:
    """An error that decoding should not have raised, by its type alone."""

    error_type: str


Outcome = Decoded | NeuroscanError | Unexpected


def prepare(parent_pid: int, memory_mib: int) -> None:
    """Bind the process to its parent's life, bound its memory, load the decoders."""
    # Left to the default, so that a decoder in C code is ended at once when its time is over.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with_parent()
    if os.getppid() != parent_pid:
        os._exit(1)
    # Each thread that OpenBLAS starts reserves memory, and none is of use here.
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    limit = memory_mib * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # The decoders' messages may quote the file, which may name a person.
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    import gdcm  # noqa: PLC0415 - see the head of this file

    for silence in (gdcm.Trace.DebugOff, gdcm.Trace.WarningOff, gdcm.Trace.ErrorOff):
        silence()
    import neuroscan.imaging.decode  # noqa: F401, PLC0415


def process_id() -> int:
    """The id of the process that this runs in; shows that it is up."""
    return os.getpid()


def run(task: DecodeTask) -> Outcome:
    """Decode, and bring back a value whatever happens: errors may hold what can't be sent."""
    from neuroscan.imaging.decode import decode  # noqa: PLC0415

    try:
        return decode(
            task.content,
            declared_type=task.declared_type,
            file_name_suffix=task.file_name_suffix,
            frame=task.frame,
            spacing_mm=task.spacing_mm,
            convention=task.convention,
        )
    except NeuroscanError as problem:
        return problem
    except MemoryError:
        return DecodeLimit()
    except Exception as error:  # noqa: BLE001 - the last guard; it is logged by its type
        return Unexpected(type(error).__name__)
