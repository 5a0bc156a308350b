"""Pictures that are no brain MRI, for measuring the input check."""

import numpy as np

from training.not_mri import not_mri
from training.other_pictures import other_pictures


def test_at_least_two_hundred_pictures_of_many_kinds_the_same_each_time() -> None:
    first, second = other_pictures(seed=3, each=15), other_pictures(seed=3, each=15)
    assert len(first) >= 15
    assert sum(len(pictures) for pictures in first.values()) >= 200
    for kind, pictures in first.items():
        for one, again in zip(pictures, second[kind], strict=True):
            assert one.dtype == np.uint8
            assert one.ndim == 2
            assert np.array_equal(one, again)


def test_the_pictures_of_a_kind_differ_and_so_do_seeds() -> None:
    first, second = other_pictures(seed=3, each=4), other_pictures(seed=4, each=4)
    own = set(first) - set(not_mri(seed=3, each=1))
    assert len(own) >= 6
    for kind in own:
        assert len({picture.tobytes() for picture in first[kind]}) > 1
        assert not np.array_equal(first[kind][0], second[kind][0])
