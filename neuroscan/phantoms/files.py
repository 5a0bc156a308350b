"""Phantoms as files: PNG slices, their truth beside them, lesion masks in a folder below."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from pydantic import TypeAdapter

from neuroscan.phantoms.scan import make_phantom
from neuroscan.phantoms.spec import (
    Appearance,
    LesionSpec,
    Lobe,
    PhantomSpec,
    PhantomTruth,
    Sequence,
    Side,
)

_TRUTH = TypeAdapter(PhantomTruth)


@dataclass(frozen=True)
class PhantomFile:
    """Where a phantom lies; `mask` is missing where there is no lesion."""

    path: Path
    sidecar: Path
    mask: Path | None
    truth: PhantomTruth


def default_specs(seed: int = 7) -> list[PhantomSpec]:
    """Two healthy slices, and four with a lesion, one of which shifts the midline by 8 mm."""
    return [
        PhantomSpec("healthy-level-18mm", seed, level_mm=18, sequence=Sequence.T1, rotation_deg=-3),
        PhantomSpec("healthy-level-45mm", seed + 1, level_mm=45, sequence=Sequence.T1),
        PhantomSpec(
            "lesion-left-frontal-30mm",
            seed + 2,
            LesionSpec(Side.LEFT, Lobe.FRONTAL, 30, 25, appearance=Appearance.RING, edema_mm=7),
            rotation_deg=2,
        ),
        PhantomSpec(
            "lesion-right-parietal-22mm",
            seed + 3,
            LesionSpec(Side.RIGHT, Lobe.PARIETAL, 22, 19, 70, Appearance.BRIGHT),
            rotation_deg=-4,
        ),
        PhantomSpec(
            "lesion-right-temporal-34mm-shift-8mm",
            seed + 4,
            LesionSpec(Side.RIGHT, Lobe.TEMPORAL, 34, 24, 80, Appearance.BRIGHT, edema_mm=8),
            midline_shift_mm=8,
            rotation_deg=1.5,
        ),
        PhantomSpec(
            "lesion-left-occipital-18mm",
            seed + 5,
            LesionSpec(Side.LEFT, Lobe.OCCIPITAL, 18, 15, 120, Appearance.BRIGHT),
            pixel_spacing_mm=0.9,
            rotation_deg=3,
        ),
    ]


def write_phantoms(out: Path, *, seed: int = 7) -> list[PhantomFile]:
    """Write the default phantoms into `out`, masks into `out/masks`; the same bytes for a seed."""
    out.mkdir(parents=True, exist_ok=True)
    return [write_phantom(spec, out) for spec in default_specs(seed)]


def write_phantom(spec: PhantomSpec, out: Path) -> PhantomFile:
    """Write one phantom: `name.png`, `name.json` and, with a lesion, `masks/name.mask.png`."""
    phantom = make_phantom(spec)
    path = out / phantom.truth.file
    Image.fromarray(phantom.pixels).save(path, optimize=True)
    sidecar = path.with_suffix(".json")
    sidecar.write_bytes(_TRUTH.dump_json(phantom.truth, indent=2) + b"\n")
    mask = None
    if phantom.truth.lesion is not None:
        mask = out / "masks" / f"{spec.name}.mask.png"
        mask.parent.mkdir(exist_ok=True)
        Image.fromarray(phantom.lesion_mask.astype("uint8") * 255).save(mask, optimize=True)
    return PhantomFile(path, sidecar, mask, phantom.truth)


def read_truth(sidecar: Path) -> PhantomTruth:
    """The truth from a sidecar file; pydantic's ValidationError when it is not one."""
    return _TRUTH.validate_json(sidecar.read_bytes())
