"""The window: any values to uint8, in order."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from neuroscan.contracts.problems import BadImage
from neuroscan.imaging.intensity import window_to_uint8

SHAPES = arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)


@given(arrays.arrays(np.float32, SHAPES, elements=st.floats(width=32)))
def test_any_values_keep_their_order(values: npt.NDArray[np.float32]) -> None:
    finite = np.isfinite(values)
    if not finite.any():
        with pytest.raises(BadImage):
            window_to_uint8(values)
        return
    pixels = window_to_uint8(values)
    assert pixels.dtype == np.uint8
    assert pixels.shape == values.shape
    in_order = pixels[finite][np.argsort(values[finite], kind="stable")]
    assert (np.diff(in_order.astype(int)) >= 0).all()


@given(arrays.arrays(np.int32, SHAPES))
def test_values_that_differ_use_the_whole_range(values: npt.NDArray[np.int32]) -> None:
    pixels = window_to_uint8(values)
    lowest, highest = np.float32(values.min()), np.float32(values.max())
    assert pixels.min() == 0
    assert pixels.max() == (255 if highest > lowest else 0)
