"""The pictures that a measurement runs on, with what is known of each."""

from dataclasses import dataclass

from training.data import DataPacks, Picture
from training.folders import Source
from training.splits import pictures_of


@dataclass(frozen=True)
class Case:
    """A picture, its source, whether its patient is known."""

    picture: Picture
    source: str
    patient_known: bool


def read_cases(source: Source, split: str) -> list[Case]:
    """The cases of a split's test part in their source's order; raises `DataError`.

    Only the packs' manifest knows planes and patients.
    """
    pictures = source.part(split, "test")
    if not isinstance(source, DataPacks):
        return [Case(picture, "nickparvar", patient_known=False) for picture in pictures]
    rows = {row["path"]: row for row in source.rows()}
    return [
        Case(
            picture=picture,
            source=rows[picture.path]["source"],
            patient_known=bool(rows[picture.path]["patient_id"]),
        )
        for picture in pictures
    ]


def published_training() -> frozenset[str]:
    """The unique ids of the published Training folder, as the committed split has them."""
    return pictures_of("published", "train", "val")
