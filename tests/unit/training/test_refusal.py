"""A bundle is not measured on its own training pictures."""

import json
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from neuroscan.network.bundle import Network, read_network
from training.parts import published_training
from training.refusal import (
    LeakError,
    read_training_manifest,
    refuse_overlap,
    write_training_manifest,
)
from training.splits import read_split

REPOSITORY = Path(__file__).parents[3]


def bundle(training: dict[str, object]) -> Network:
    return cast(Network, SimpleNamespace(training=training))


def test_the_manifest_is_read_back_and_the_same_ids_give_the_same_file(tmp_path: Path) -> None:
    facts = write_training_manifest(tmp_path, ["b", "a", "b"])
    first = (tmp_path / facts["manifest"]).read_bytes()
    assert read_training_manifest(tmp_path, bundle(dict(facts))) == {"a", "b"}
    assert write_training_manifest(tmp_path, ["a", "b"]) == facts
    assert (tmp_path / facts["manifest"]).read_bytes() == first


def test_a_bundle_whose_manifest_can_not_be_trusted_is_refused(tmp_path: Path) -> None:
    facts = write_training_manifest(tmp_path, ["a"])
    with pytest.raises(LeakError, match="names no training manifest"):
        read_training_manifest(tmp_path, bundle({}))
    with pytest.raises(LeakError, match="names no training manifest"):
        read_training_manifest(tmp_path, bundle({"manifest": "../elsewhere.txt"}))
    write_training_manifest(tmp_path, ["a", "another"])
    with pytest.raises(LeakError, match="SHA-256 differs"):
        read_training_manifest(tmp_path, bundle(dict(facts)))
    (tmp_path / facts["manifest"]).unlink()
    with pytest.raises(LeakError, match="is missing"):
        read_training_manifest(tmp_path, bundle(dict(facts)))
    empty = write_training_manifest(tmp_path, [])
    with pytest.raises(LeakError, match="is empty"):
        read_training_manifest(tmp_path, bundle(dict(empty)))


@pytest.mark.parametrize("split", ["patient", "published", "clean"])
def test_one_shared_picture_is_enough(split: str) -> None:
    with pytest.raises(LeakError, match=f"1 pictures of the {split} split stand"):
        refuse_overlap(
            frozenset({"a", "b"}),
            ["b", "c"],
            split=split,
            training={"split": "patient, train"},
            published_training=frozenset({"a", "b"}),
        )


def test_pictures_apart_are_measured() -> None:
    shared = refuse_overlap(
        frozenset({"a"}), ["b"], split="patient", training={}, published_training=frozenset()
    )
    assert shared == 0


def test_the_published_protocol_s_own_copies_are_counted_and_only_there() -> None:
    training = {"split": "published, train"}
    published = frozenset({"a", "b", "c"})
    trained = frozenset({"a", "b"})
    assert (
        refuse_overlap(
            trained, ["b", "d"], split="published", training=training, published_training=published
        )
        == 1
    )
    with pytest.raises(LeakError):
        refuse_overlap(
            trained, ["b", "d"], split="clean", training=training, published_training=published
        )
    # It says so, but a picture from elsewhere gives it away.
    with pytest.raises(LeakError):
        refuse_overlap(
            trained | {"x"}, ["b"], split="published", training=training,
            published_training=published,
        )  # fmt: skip


def test_every_shipped_bundle_names_its_training_pictures() -> None:
    folders = [path.parent for path in (REPOSITORY / "models").glob("*/bundle.json")]
    assert folders
    for folder in folders:
        ids = read_training_manifest(folder, read_network(folder))
        assert len(ids) > 1000
        assert json.loads((folder / "bundle.json").read_text())["training"]["split"]


def test_shipped_bundles_trained_on_patients_are_measured_on_unseen_patients_alone() -> None:
    for path in (REPOSITORY / "models").glob("*/bundle.json"):
        network = read_network(path.parent)
        trained = read_training_manifest(path.parent, network)
        assert str(network.training["split"]).startswith("patient")
        for split, refused in (("patient", False), ("published", True), ("clean", True)):
            ids = [entry.picture for entry in read_split(split) if entry.part == "test"]
            with pytest.raises(LeakError) if refused else nullcontext():
                refuse_overlap(
                    trained,
                    ids,
                    split=split,
                    training=network.training,
                    published_training=published_training(),
                )
