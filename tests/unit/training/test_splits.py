"""The committed splits, and how they are made."""

import tarfile
from collections import Counter
from pathlib import Path

import pytest

from tests.unit.training.packs import write_packs, write_splits
from training import splits
from training.data import DataPacks
from training.errors import DataError
from training.folders import PublishedFolders, open_source
from training.splits import leaks, make_splits, read_split, split_part


@pytest.fixture
def packs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rows = write_packs(tmp_path / "data")
    write_splits(rows, tmp_path / "splits")
    monkeypatch.setattr(splits, "FOLDER", tmp_path / "splits")
    return tmp_path / "data"


def test_the_patient_split_leaks_neither_picture_nor_group() -> None:
    entries = read_split("patient")
    assert Counter(entry.part for entry in entries) == {"train": 3271, "val": 452, "test": 849}
    assert set(leaks(entries).values()) == {(0, 0)}
    assert len({entry.picture for entry in entries}) == len(entries)


def test_the_validation_part_of_published_shares_nothing_with_its_training_part() -> None:
    found = leaks(read_split("published"))
    assert found["train", "val"] == (0, 0)
    # The published set itself leaks; a split that hid it would not be the published one.
    assert found["train", "test"][0] > 500


def test_clean_has_no_picture_of_the_published_training() -> None:
    published, clean = read_split("published"), read_split("clean")
    trained = {entry.picture for entry in published if entry.part != "test"}
    assert {entry.part for entry in clean} == {"test"}
    assert not trained & {entry.picture for entry in clean}
    assert {entry.id for entry in clean} <= {e.id for e in published if e.part == "test"}


def test_every_class_of_published_is_validated(packs: Path) -> None:
    pictures = DataPacks(packs).part("published", "val")
    assert {picture.label for picture in pictures} == {
        "glioma", "meningioma", "no_tumor", "pituitary",
    }  # fmt: skip


def test_made_splits_hold_every_file_once_and_do_not_depend_on_order(packs: Path) -> None:
    rows = DataPacks(packs).rows()
    made = make_splits(rows)
    assert made == make_splits(rows[::-1])
    assert set(leaks(made["patient"]).values()) == {(0, 0)}
    published = [
        picture.path
        for part in ("train", "val", "test")
        for picture in DataPacks(packs).part("published", part)
    ]
    assert sorted(published) == sorted(row["path"] for row in rows)


def test_the_patient_part_is_the_one_that_the_manifest_names(packs: Path) -> None:
    source = DataPacks(packs)
    for part in ("train", "val", "test"):
        assert source.part("patient", part) == source.patient_split(part)


def test_the_published_folders_give_the_same_parts_as_the_packs(
    packs: Path, tmp_path: Path
) -> None:
    source = DataPacks(packs)
    folders = tmp_path / "kaggle"
    with tarfile.open(packs / "pack.tar") as archive:
        for row in source.rows():
            target = folders / row["split"] / row["label"] / Path(row["path"]).name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(packed(archive, row["path"]))
    published = open_source(folders)
    assert isinstance(published, PublishedFolders)
    for name, part in (("published", "train"), ("published", "test"), ("clean", "test")):
        ours = {(p.unique_id, p.label, Path(p.path).name) for p in source.part(name, part)}
        theirs = {(p.unique_id, p.label, Path(p.path).name) for p in published.part(name, part)}
        assert ours == theirs
    picture = published.part("published", "test")[0]
    assert published.pixels(picture).shape == (48, 48)
    with pytest.raises(DataError, match="needs all packs"):
        published.part("patient", "train")
    for copy in (folders / picture.path).parent.glob(f"{picture.unique_id}*"):
        copy.unlink()
    with pytest.raises(DataError, match=r"lacks \d files"):
        published.part("published", "test")


def packed(archive: tarfile.TarFile, path: str) -> bytes:
    member = archive.extractfile(path)
    assert member is not None
    return member.read()


def test_unknown_splits_parts_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="published, clean, patient"):
        read_split("mine")
    with pytest.raises(DataError, match="no part 'train'"):
        split_part("clean", "train")
    with pytest.raises(DataError, match="Training and Testing"):
        open_source(tmp_path)
