"""Training end to end on synthetic slices: it learns, resumes, exports, and keeps its promises."""

import argparse
import dataclasses
import json
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from neuroscan.network.bundle import BundleError, read_network
from neuroscan.network.model import build_model
from neuroscan.network.preprocess import Preprocessing, preprocess
from tests.unit.training.packs import write_packs, write_splits
from training import export, folds, splits, train
from training.cache import Slices, load_slices, normalized
from training.data import DataPacks
from training.optimize import cycle
from training.recipe import Augmentation, Guidance, Phase, Recipe, RecipeError
from training.refusal import LeakError, read_training_manifest, refuse_overlap
from training.run import RunFacts, read_history, read_run, write_run
from training.starts import start_model
from training.trainer import Trainer

TINY = Recipe(
    name="tiny",
    split="patient",
    starts=("nothing", "bundle", "weights"),
    preprocessing=Preprocessing(
        input_size=32, resize="square, area", mean=(0.449,) * 3, std=(0.226,) * 3
    ),
    batch_size=8,
    phases=(
        Phase("head", 1, ("fc",), 1e-3),
        Phase("all", 2, ("layer3", "layer4", "fc"), 1e-3),
    ),
    average=0.5,
    sampling="balanced",
    select="both",
    augmentation=Augmentation(flip_horizontal=0.5, rotation_deg=10, noise=0.02, transplant=0.3),
    guidance=Guidance(
        segmentation=0.5, segmentation_layers=("layer3",),
        evidence=0.3, evidence_layers=("layer3", "layer4"),
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def packs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packs")
    rows = write_packs(folder)
    write_splits(rows, folder / "splits")
    return folder


@pytest.fixture
def own_splits(packs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(splits, "FOLDER", packs / "splits")
    return packs


def parts(folder: Path, recipe: Recipe = TINY) -> tuple[Slices, Slices]:
    with DataPacks(folder) as source:
        train_part, validation = (
            load_slices(source, source.patient_split(part), recipe.preprocessing)
            for part in ("train", "val")
        )
    return train_part, validation


def trainer(folder: Path, recipe: Recipe = TINY) -> Trainer:
    start = start_model(recipe, bundle=None, weights=None, imagenet=False)
    return Trainer(recipe, start.model, *parts(folder, recipe))


def test_cached_slices_are_what_the_services_give_the_network(packs: Path) -> None:
    cached, _ = parts(packs)
    with DataPacks(packs) as source:
        for place in (0, len(cached) - 1):
            served = preprocess(source.pixels(cached.pictures[place]), TINY.preprocessing)
            ours = normalized(cached.pixels[place : place + 1].float() / 255, TINY.preprocessing)
            # Half a gray level, from keeping whole ones.
            assert float((served - ours).abs().max()) <= 0.5 / 255 / 0.226 + 1e-5
    healthy = cached.labels == 2
    assert bool(cached.known.all())
    assert float(cached.masks[healthy].sum()) == 0
    assert bool((cached.masks[~healthy].flatten(1).amax(dim=1) > 127).all())


def test_folds_are_by_group_and_hold_every_slice_once(own_splits: Path) -> None:
    whole = [picture for part in parts(own_splits) for picture in part.pictures]
    held_out: list[str] = []
    for fold in range(1, splits.FOLDS + 1):
        training_part, validation = train.load_parts(TINY, own_splits, fold)
        groups = [
            {picture.group for picture in part.pictures} for part in (training_part, validation)
        ]
        assert not groups[0] & groups[1]
        assert len(training_part) + len(validation) == len(whole)
        held_out += [picture.path for picture in validation.pictures]
    assert sorted(held_out) == sorted(picture.path for picture in whole)


def test_a_resumed_run_ends_in_the_same_state(packs: Path, tmp_path: Path) -> None:
    recipe = dataclasses.replace(TINY, phases=TINY.phases[1:], epoch_pictures=16)
    straight = trainer(packs, recipe)
    straight.run_epoch()
    # Half-way through a phase, so that the optimizer's memory matters too.
    straight.save(tmp_path / "checkpoint.pt")
    row = straight.run_epoch()
    assert straight.finished
    resumed = trainer(packs, recipe)
    resumed.restore(tmp_path / "checkpoint.pt")
    again = resumed.run_epoch()
    assert resumed.finished
    for name, value in straight.averaged.state_dict().items():
        assert torch.equal(value, resumed.averaged.state_dict()[name]), name
    assert {**row, "seconds": 0} == {**again, "seconds": 0}


def test_a_phase_trains_its_stages_and_leaves_the_others_alone(packs: Path) -> None:
    run = trainer(packs)
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    run.run_epoch()
    changed = {
        name.split(".")[0]
        for name, value in run.model.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert changed == {"fc"}


def test_a_phase_may_guide_in_its_own_way(packs: Path) -> None:
    own = Guidance(activation=0.2, activation_layers=("layer2",))
    first, second = TINY.phases
    recipe = dataclasses.replace(
        TINY, phases=(first, dataclasses.replace(second, epochs=1, guidance=own)), epoch_pictures=8
    )
    run = trainer(packs, recipe)
    losses = [{name for name in run.run_epoch() if name.startswith("train_")} for _ in range(2)]
    always = {"train_answer", "train_loss", "train_accuracy"}
    assert losses == [
        always | {"train_segmentation", "train_evidence"},
        always | {"train_activation"},
    ]


def test_a_bundle_says_what_the_masks_taught_in_every_phase() -> None:
    own = Guidance(activation=0.2, activation_layers=("layer2",))
    first, second = TINY.phases
    phases = (first, dataclasses.replace(first, guidance=own), second)
    facts = RunFacts("nothing", 8, None, "CPU", "2", ())
    told = export.training_facts(dataclasses.replace(TINY, phases=phases), facts, {"epoch": 1})
    assert told["masks"] == (
        "used: segmentation at layer3; evidence at layer3, layer4; then used: activation at layer2"
    )


def test_a_bundle_says_what_it_was_not_validated_on_and_what_trained() -> None:
    facts = RunFacts("random weights", 8, None, "CPU", "2", (), fold=3, all_stages=True)
    told = export.training_facts(TINY, facts, {"epoch": 1})
    assert told["split"] == "patient, train and val without fold 3 of 5 (8 slices)"
    assert told["schedule"] == (
        "1 epochs of all stages (from nothing) at 0.001; "
        "2 epochs of all stages (from nothing) at 0.001"
    )


def test_balanced_epochs_show_every_class_as_often(packs: Path) -> None:
    run = trainer(packs, dataclasses.replace(TINY, epoch_pictures=4000))
    run.train_slices = run.train_slices.choose([*range(6), 6, 12, 18])
    counts = torch.bincount(run.train_slices.labels[run._draw(torch.Generator())])
    assert len(counts) == 4
    assert int(counts.min()) > 850
    run.recipe = dataclasses.replace(TINY, epoch_pictures=None)
    assert len(run._draw(torch.Generator())) == 9


def test_frozen_normalization_keeps_its_statistics(packs: Path) -> None:
    run = trainer(packs, dataclasses.replace(TINY, batch_norm="frozen", phases=TINY.phases[1:]))
    before = run.model.layer4[0].bn1.running_mean.clone()
    run.run_epoch()
    assert torch.equal(run.model.layer4[0].bn1.running_mean, before)


def test_from_nothing_every_stage_trains_from_the_first_phase(packs: Path) -> None:
    start = start_model(TINY, bundle=None, weights=None, imagenet=False)
    run = Trainer(TINY, start.model, *parts(packs), all_stages=start.from_nothing)
    before = run.model.conv1.weight.detach().clone()
    run.run_epoch()
    assert not torch.equal(run.model.conv1.weight, before)


def test_the_schedule_rises_and_falls() -> None:
    values = [cycle(share / 100) for share in range(101)]
    top = values.index(max(values))
    assert values[:top] == sorted(values[:top])
    assert values[top:] == sorted(values[top:], reverse=True)
    assert values[-1] < 0.01 < values[0] < max(values) == 1.0


def test_a_short_training_learns_its_slices(packs: Path) -> None:
    stages = ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc")
    plain = dataclasses.replace(
        TINY,
        phases=(Phase("all", 2, stages, 1e-3),),
        augmentation=Augmentation(),
        guidance=Guidance(),
        epoch_pictures=96,
    )
    train_part, validation = parts(packs)
    two_of_each = train_part.choose([0, 1, 6, 7, 12, 13, 18, 19])
    start = start_model(plain, bundle=None, weights=None, imagenet=False)
    run = Trainer(plain, start.model, two_of_each, validation)
    first, second = (float(run.run_epoch()["train_answer"]) for _ in range(2))
    assert second < 0.8 * first


def test_the_commands_train_resume_and_export(own_splits: Path, tmp_path: Path) -> None:
    config = tmp_path / "tiny.yaml"
    config.write_text(yaml.safe_dump(json.loads(json.dumps(dataclasses.asdict(TINY)))))
    arguments = argparse.Namespace(
        config=config, data=own_splits, out=tmp_path / "run", bundle=None, weights=None,
        imagenet=False, fold=None, resume=False, device="cpu", threads=1, minutes=None,
    )  # fmt: skip
    train.main(arguments)
    history = read_history(tmp_path / "run" / "history.csv")
    assert [row["epoch"] for row in history] == ["1", "2", "3"]
    assert (tmp_path / "run" / "curves.png").stat().st_size > 10_000
    with pytest.raises(RecipeError, match="holds a run already"):
        train.main(arguments)
    arguments.resume = True
    train.main(arguments)
    assert len(read_history(tmp_path / "run" / "history.csv")) == 3
    described = (tmp_path / "run" / "run.json").read_text()
    for other, named in (
        ({"fold": 1}, "fold and another training slices"),
        ({"minutes": 5.0}, "minutes"),
    ):
        with pytest.raises(RecipeError, match=f"a run with another {named}"):
            train.main(argparse.Namespace(**{**vars(arguments), **other}))
    assert (tmp_path / "run" / "run.json").read_text() == described

    out = tmp_path / "models" / "tiny"
    exporting = argparse.Namespace(folder=tmp_path / "run", name="tiny", version="1.0.0", out=out)
    export.main(exporting)
    network = read_network(out)
    assert network.load(out)(torch.zeros(1, 3, 32, 32)).shape == (1, 4)
    stored = load_file(out / "weights.safetensors")
    assert stored["conv1.weight"].dtype == torch.float16
    assert stored["bn1.running_var"].dtype == torch.float32
    assert (out / "weights.safetensors").stat().st_size < 50_000_000
    with pytest.raises(BundleError, match="holds a bundle already"):
        export.main(exporting)

    _, facts = read_run(tmp_path / "run" / "run.json")
    trained_on = read_training_manifest(out, network)
    assert trained_on == set(facts.pictures)
    with DataPacks(own_splits) as source:
        seen = [picture.unique_id for picture in source.patient_split("train")]
        unseen = [picture.unique_id for picture in source.patient_split("test")]
    kept = {
        "split": "patient",
        "training": network.training,
        "published_training": frozenset[str](),
    }
    assert refuse_overlap(trained_on, unseen, **kept) == 0  # type: ignore[arg-type]
    with pytest.raises(LeakError, match="stand in the bundle's training manifest"):
        refuse_overlap(trained_on, [*unseen, seen[0]], **kept)  # type: ignore[arg-type]


def test_the_runs_of_all_folds_are_one_table(tmp_path: Path) -> None:
    runs = [tmp_path / f"run{fold}" for fold in (2, 1, 3, 4, 5)]
    for folder in runs:
        fold = int(folder.name[-1])
        folder.mkdir()
        write_run(folder / "run.json", TINY, RunFacts("nothing", 8, None, "CPU", "2", (), fold))
        torch.save(
            {"model": {}, "row": {"epoch": 3, "val_accuracy": 0.9 + fold / 100}}, folder / "best.pt"
        )
    text = folds.fold_table(folds.read_folds(runs))
    assert text.splitlines()[-1] == (
        "| accuracy | 0.9100 | 0.9200 | 0.9300 | 0.9400 | 0.9500 | 0.9300 | 0.0158 |"
    )
    with pytest.raises(RecipeError, match="each of the 5 folds is wanted once"):
        folds.read_folds([*runs[:4], runs[0]])
    facts = RunFacts("elsewhere", 8, None, "CPU", "2", (), 2)
    write_run(runs[0] / "run.json", TINY, facts)
    with pytest.raises(RecipeError, match="not of one recipe and one start"):
        folds.read_folds(runs)
    write_run(runs[0] / "run.json", TINY, dataclasses.replace(facts, fold=None))
    with pytest.raises(RecipeError, match="train it with --fold"):
        folds.read_folds(runs)


def test_the_paper_protocol_starts_from_no_bundle_and_no_brain_weights(tmp_path: Path) -> None:
    paper = dataclasses.replace(TINY, name="paper", starts=("imagenet", "weights", "nothing"))
    with pytest.raises(RecipeError, match="starts from imagenet, weights, nothing only"):
        start_model(paper, bundle=tmp_path, weights=None, imagenet=False)
    state = build_model().state_dict()
    save_file(state, tmp_path / "brain.safetensors")
    with pytest.raises(RecipeError, match="not a ResNet50 trained on ImageNet"):
        start_model(paper, bundle=None, weights=tmp_path / "brain.safetensors", imagenet=False)
    with pytest.raises(RecipeError, match="missing"):
        start_model(paper, bundle=None, weights=tmp_path / "none.pth", imagenet=False)


def test_imagenet_weights_from_a_file_give_the_backbone_and_a_new_head(tmp_path: Path) -> None:
    from torchvision.models import resnet50  # noqa: PLC0415

    torch.manual_seed(3)
    published = resnet50(weights=None).state_dict()
    torch.save(published, tmp_path / "resnet50.pth")
    start = start_model(TINY, bundle=None, weights=tmp_path / "resnet50.pth", imagenet=False)
    assert start.told == "ImageNet weights, resnet50.pth"
    assert not start.from_nothing
    assert torch.equal(start.model.layer4[2].conv3.weight, published["layer4.2.conv3.weight"])
    assert start.model.fc[3].out_features == 4
