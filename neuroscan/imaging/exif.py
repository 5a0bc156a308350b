"""EXIF orientation: read it from a TIFF block, and write a block that holds nothing else."""

import struct

_ORIENTATION_TAG = 0x0112
_SHORT = 3
_BYTE_ORDERS = {b"II*\x00": "<", b"MM\x00*": ">"}


def read_orientation(tiff: bytes) -> int:
    """The orientation 1 to 8 (EXIF 2.32, 4.6.4); 1 when there is none that can be read."""
    order = _BYTE_ORDERS.get(tiff[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, start)
        for entry in range(count):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, start + 2 + 12 * entry)
            if tag == _ORIENTATION_TAG and kind == _SHORT:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        return 1
    return 1


def orientation_block(orientation: int) -> bytes:
    """A TIFF block with one entry, the orientation."""
    header = struct.pack("<4sI", b"II*\x00", 8)
    return header + struct.pack("<HHHIHHI", 1, _ORIENTATION_TAG, _SHORT, 1, orientation, 0, 0)
