"""A bundle is never measured on pictures that it was trained on.

Every bundle holds its training manifest: a text file with the unique ids of its training pictures,
one a line, named by `training.manifest` in `bundle.json`. A picture's copies and mirror images
share its unique id, whatever their file.
"""

import gzip
from collections.abc import Iterable, Mapping
from pathlib import Path

from neuroscan.network.bundle import Network, file_sha256
from training.errors import DataError

MANIFEST_FILE = "training_manifest.txt.gz"
PUBLISHED_SPLIT = "published"


class LeakError(DataError):
    """The measurement would be on pictures of the bundle's own training."""


def write_training_manifest(folder: Path, unique_ids: Iterable[str]) -> dict[str, str]:
    """Write the ids into the bundle's folder; returns what `training` in `bundle.json` says of it.

    The same ids give the same bytes.
    """
    text = "".join(f"{unique_id}\n" for unique_id in sorted(set(unique_ids)))
    path = folder / MANIFEST_FILE
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
    return {"manifest": MANIFEST_FILE, "manifest_sha256": file_sha256(path)}


def read_training_manifest(folder: Path, network: Network) -> frozenset[str]:
    """The unique ids of the bundle's training pictures.

    Raises `LeakError` when the bundle names no manifest, or the file is missing, altered or empty:
    without it nothing can be said about any split.
    """
    name = network.training.get("manifest")
    if not isinstance(name, str) or Path(name).name != name:
        raise LeakError(
            f"{folder} names no training manifest, so it can't be measured on any split"
        )
    path = folder / name
    if not path.is_file():
        raise LeakError(f"{path} is missing")
    if file_sha256(path) != network.training.get("manifest_sha256"):
        raise LeakError(f"{path} is not the file that bundle.json describes (SHA-256 differs)")
    content = path.read_bytes()
    text = (gzip.decompress(content) if name.endswith(".gz") else content).decode()
    if not (ids := frozenset(text.split())):
        raise LeakError(f"{path} is empty")
    return ids


def refuse_overlap(
    trained_on: frozenset[str],
    measured_on: Iterable[str],
    *,
    split: str,
    training: Mapping[str, object],
    published_training: frozenset[str],
) -> int:
    """Raise `LeakError` when a picture stands on both sides; returns how many do where that is let.

    `measured_on` are the unique ids of the split's pictures. One overlap is let, and counted: the
    published Testing folder holds copies of its own Training folder (`published_training`, unique
    ids), and everyone reports that figure; so a bundle that says it was trained on `published`, and
    whose every picture stands in that Training folder, may be measured on `published`.
    """
    shared = sum(unique_id in trained_on for unique_id in measured_on)
    own_protocol = (
        split == PUBLISHED_SPLIT
        and str(training.get("split", "")).startswith(PUBLISHED_SPLIT)
        and trained_on <= published_training
    )
    if shared and not own_protocol:
        raise LeakError(
            f"{shared} pictures of the {split} split stand in the bundle's training manifest; "
            "a network is not measured on pictures that it was trained on"
        )
    return shared
