"""The split that a bundle was trained on: what is fitted for it is fitted on that split's parts."""

from pathlib import Path

from neuroscan.network.bundle import Network
from training.data import Picture
from training.errors import DataError
from training.folders import Source
from training.recipe import SPLITS
from training.refusal import read_training_manifest, refuse_overlap


def split_of(network: Network) -> str:
    """`patient` or `published`, as the bundle says; raises `DataError` where it says neither."""
    told = str(network.training.get("split", ""))
    name = told.partition(",")[0]
    if name not in SPLITS:
        raise DataError(f"the bundle says that it was trained on {told!r}, which is no split here")
    return name


def own_validation(folder: Path, network: Network, source: Source) -> list[Picture]:
    """The validation part of the bundle's own split.

    Raises `DataError`, and `LeakError` where the bundle was trained on pictures of it: what a fold
    of both parts, or a network that started from another split's, would be fitted on it knows.
    """
    split = split_of(network)
    pictures = source.part(split, "val")
    refuse_overlap(
        read_training_manifest(folder, network),
        [picture.unique_id for picture in pictures],
        split=f"{split}, val",
        training={},
        published_training=frozenset(),
    )
    return pictures
