"""Any change to a file's bytes ends in a slice or in a problem, never in another exception."""

import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

from neuroscan.contracts import problems
from neuroscan.imaging.decode import decode
from tests.unit.imaging.files import (
    animated_png,
    dicom,
    encode,
    enhanced,
    gradient,
    jpeg_with_exif,
    rle,
    to_file,
)

SEEDS = {
    "png": encode(gradient(), "PNG"),
    "animated": animated_png(2),
    "jpeg": jpeg_with_exif(gradient(), 6),
    "progressive": encode(gradient(), "JPEG", progressive=True),
    "dicom": to_file(dicom(gradient(dtype=np.uint16))),
    "rle": rle(gradient(dtype=np.uint16)),
    "enhanced": to_file(enhanced()),
    "color": to_file(dicom(np.dstack([gradient()] * 3))),
    "implicit": to_file(dicom(gradient(), syntax=ImplicitVRLittleEndian)),
    "deflated": to_file(dicom(gradient(), syntax=DeflatedExplicitVRLittleEndian)),
}


@pytest.mark.parametrize("seed", SEEDS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_mutation_decodes_or_is_a_problem(seed: str, data: st.DataObject) -> None:
    content = bytearray(SEEDS[seed])
    # Most of the structure lies at the start.
    positions = st.one_of(
        st.integers(0, min(len(content), 700) - 1), st.integers(0, len(content) - 1)
    )
    for _ in range(data.draw(st.integers(0, 6))):
        content[data.draw(positions)] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.none(), positions))
    try:
        decoded = decode(bytes(content[:cut]), frame=data.draw(st.sampled_from([None, 0, 1])))
    except problems.NeuroscanError:
        return
    with Image.open(io.BytesIO(decoded.slice_png)) as picture:
        assert picture.size == (decoded.width, decoded.height)
