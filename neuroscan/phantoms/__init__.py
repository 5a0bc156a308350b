"""Axial test slices whose lesion, side, size and midline shift are known.

Made from the T1 template that nilearn ships; importing this package loads neither nilearn nor
nibabel. `make_phantom` gives one slice, `write_phantoms` a small set with sidecar files.
"""

from neuroscan.phantoms.files import PhantomFile, default_specs, read_truth, write_phantoms
from neuroscan.phantoms.scan import Phantom, make_phantom
from neuroscan.phantoms.spec import (
    Appearance,
    LesionSpec,
    LesionTruth,
    Lobe,
    PhantomSpec,
    PhantomTruth,
    Sequence,
    Side,
)

__all__ = [
    "Appearance",
    "LesionSpec",
    "LesionTruth",
    "Lobe",
    "Phantom",
    "PhantomFile",
    "PhantomSpec",
    "PhantomTruth",
    "Sequence",
    "Side",
    "default_specs",
    "make_phantom",
    "read_truth",
    "write_phantoms",
]
