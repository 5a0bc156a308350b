"""From a bundle and slices to results and card, on a tiny set made here."""

import argparse
import csv
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from neuroscan import NOTICE
from neuroscan.network.bundle import Bundle
from neuroscan.settings import SHIPPED_BUNDLE
from training import card, evaluate, paper
from training.data import DataPacks, picture_of
from training.errors import DataError
from training.evaluation import Evaluation, read_found, rounded, write_json
from training.evaluation_section import evaluation_section
from training.explanation_figures import Comparison
from training.explanation_section import explanation_section
from training.explanations import LAYERS, compare, sample_classes
from training.kept import Kept
from training.measure_shortcuts import ALL_BUT_SHELL, SHELL, TUMOR, measure_shortcuts
from training.metrics import RESAMPLES, group_weights
from training.other_pictures import other_pictures
from training.parts import Case
from training.settings import settings_of
from training.subject import Subject

FOLDERS = ("glioma", "meningioma", "notumor", "pituitary")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve drawn heads, three of a class, the tumors with a bright disk and its mask."""
    folder = tmp_path_factory.mktemp("data")
    generator = np.random.default_rng(0)
    rows = []
    for number in range(12):
        label = FOLDERS[number % 4]
        pixels = np.zeros((128, 112), dtype=np.uint8)
        cv2.ellipse(pixels, (56, 64), (44, 54), 0, 0, 360, 110, -1)
        mask = np.zeros_like(pixels)
        if label != "notumor":
            cv2.circle(mask, (40 + number, 60), 12, 255, -1)
        noisy = pixels + 0.4 * mask + generator.normal(0, 6, size=pixels.shape)
        cv2.imwrite(str(folder / f"{number}.png"), np.clip(noisy, 0, 255).astype(np.uint8))
        cv2.imwrite(str(folder / f"{number}-mask.png"), mask)
        rows.append(
            {
                "path": f"{number}.png",
                "label": label,
                "source": "drawn",
                "patient_id": f"P{number // 2}",
                "mirrored": "0",
                "plane": "axial",
                "mask": f"{number}-mask.png" if label != "notumor" else "",
                "unique_id": f"u{number}",
                "group_id": f"g{number // 2}",
                "patient_split": "test",
            }
        )
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    (folder / "ood").mkdir()
    cv2.imwrite(str(folder / "ood" / "white.png"), np.full((60, 60), 255, dtype=np.uint8))
    (folder / "ood" / "scan.dcm").write_bytes(b"another format")
    return folder


@pytest.fixture(scope="module")
def subject(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    torch.set_num_threads(1)
    bundle = Bundle.read(SHIPPED_BUNDLE)
    with DataPacks(data) as packs:
        cases = [Case(picture_of(row), row["source"], True) for row in packs.rows()]
        classes = bundle.description.classes
        yield Subject(
            bundle=bundle,
            model=bundle.load_model(),
            packs=packs,
            cases=cases,
            labels=np.array([classes.index(case.picture.label) for case in cases]),
            groups=tuple(case.picture.group for case in cases),
            copies=0,
            relatives=0,
            kept=Kept(tmp_path_factory.mktemp("kept"), bundle.description.sha256),
        )


@pytest.fixture(scope="module")
def found(subject: Subject, data: Path) -> Evaluation:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate, "OTHER_EACH", 1)
        return evaluate.evaluate(subject, split="patient", seed=0, ood=data / "ood", sample=4)


@pytest.fixture(scope="module")
def comparison(subject: Subject) -> Comparison:
    cases = sample_classes(subject.cases, subject.bundle.description.classes, 1)
    return compare(subject, cases, LAYERS, seed=0)


@pytest.fixture
def measured(tmp_path: Path, subject: Subject, found: Evaluation, comparison: Comparison) -> Path:
    """A folder with a bundle (`bundle`) and its results (`results/patient`)."""
    (tmp_path / "bundle").mkdir()
    for path in SHIPPED_BUNDLE.iterdir():
        target = tmp_path / "bundle" / path.name
        if path.suffix == ".safetensors":
            target.symlink_to(path)
        elif path.is_file():
            shutil.copyfile(path, target)
    results = tmp_path / "results" / "patient"
    results.mkdir(parents=True)
    write_json(results / "evaluation.json", found)
    write_json(results / "explanations.json", comparison)
    evaluate.draw(subject, found, results / "figures")
    return tmp_path


def run_card(folder: Path, *, check: bool = False) -> str:
    arguments = argparse.Namespace(
        bundle=folder / "bundle", results=folder / "results", check=check
    )
    card.main(arguments)
    return (folder / "bundle" / "README.md").read_text(encoding="utf-8")


def test_the_figures_of_an_evaluation_agree_with_one_another(found: Evaluation) -> None:
    counts = np.array(found.confusion)
    assert counts.sum() == found.measured.slices == 12
    assert found.accuracy.value == pytest.approx(np.trace(counts) / 12)
    assert found.measured.groups == found.measured.patients == 6
    assert found.robustness is not None
    assert found.robustness.slices == 4
    assert found.input_check is not None
    assert found.input_check.pictures == len(found.input_check.kinds) == 16
    assert [one.kind for one in found.input_check.given] == ["white.png"]
    assert found.input_check.skipped == ("scan.dcm",)
    assert found.maps is not None
    assert found.maps.healthy is not None
    assert found.maps.healthy.pointing is None
    assert found.maps.tumors is not None
    assert found.maps.tumors.slices == 9


def test_shortcuts_are_measured_on_every_class_beside_what_it_was_called_before(
    found: Evaluation,
) -> None:
    assert found.shortcuts is not None
    sensitivity = {one.name: one.sensitivity for one in found.classes}
    assert [(one.hidden, one.label) for one in found.shortcuts] == [
        (hidden, label) for hidden in (TUMOR, SHELL, ALL_BUT_SHELL) for label in sensitivity
    ]
    for one in found.shortcuts:
        before = sensitivity[one.label]
        assert before is not None
        assert one.before.value == pytest.approx(before.value)
        assert one.slices == 3


def test_without_outlines_no_tumor_is_hidden(subject: Subject, found: Evaluation) -> None:
    bare = [replace(case, picture=replace(case.picture, mask=None)) for case in subject.cases]
    logits, _ = subject.observe_all()
    answers = np.asarray(logits.argmax(dim=1).numpy(), dtype=np.int64)
    shortcuts = measure_shortcuts(
        replace(subject, cases=bare), answers, group_weights(subject.groups, RESAMPLES, 0)
    )
    assert found.shortcuts is not None
    assert shortcuts == tuple(one for one in found.shortcuts if one.hidden != TUMOR)


def test_at_least_two_hundred_other_pictures_are_shown() -> None:
    made = other_pictures(evaluate.OTHER_SEED, evaluate.OTHER_EACH)
    assert sum(1 for pictures in made.values() for _ in pictures) >= 200


def test_a_second_run_from_the_kept_answers_finds_the_same(
    subject: Subject, found: Evaluation, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate, "OTHER_EACH", 1)
    again = evaluate.evaluate(subject, split="patient", seed=0, ood=data / "ood", sample=4)
    assert again == found


def test_a_quick_run_leaves_out_what_needs_more_than_one_pass(subject: Subject, data: Path) -> None:
    quick = evaluate.evaluate(subject, split="patient", seed=0, ood=data / "ood", sample=0)
    left_out = (quick.input_check, quick.robustness, quick.mirrored, quick.shortcuts, quick.maps)
    assert left_out == (None,) * 5
    assert "Changed slices" not in evaluation_section(quick)


def test_at_the_last_layer_hirescam_is_gradcam_and_before_it_is_not(comparison: Comparison) -> None:
    by_name = {(one.method, one.layer): one for one in comparison.methods}
    assert comparison.last_layer_difference < 1e-4
    last, before = ("layer4[-1]", "layer3[-1]")
    sharpness = [
        [one.sharpness.value for one in by_name[method, layer].sharpness if one.sharpness]
        for method, layer in (("hirescam", last), ("gradcam", last), ("hirescam", before),
                              ("gradcam", before))
    ]  # fmt: skip
    assert sharpness[0] == pytest.approx(sharpness[1], abs=1e-4)
    assert sharpness[2] != pytest.approx(sharpness[3], abs=1e-3)
    assert comparison.masked == 3


def test_results_are_read_back_as_they_were_written(measured: Path) -> None:
    path = measured / "results" / "patient" / "evaluation.json"
    once = read_found(path, Evaluation)
    write_json(path, once)
    assert read_found(path, Evaluation) == once
    path.write_text("{}")
    with pytest.raises(DataError, match="lacks"):
        read_found(path, Evaluation)


def test_every_number_of_the_sections_stands_in_the_json(measured: Path) -> None:
    results = measured / "results" / "patient"
    found = read_found(results / "evaluation.json", Evaluation)
    comparison = read_found(results / "explanations.json", Comparison)
    text = evaluation_section(found) + explanation_section(comparison)
    texts = (results / "evaluation.json", results / "explanations.json")
    known: set[str] = set()
    for path in texts:
        known |= written(json.loads(path.read_text()))
    known |= written([paper.TEST_IMAGES, paper.ACCURACY, paper.SENSITIVITY, paper.SPECIFICITY])
    known |= written([paper.F1, [vars(one) for one in paper.CLASSES]])
    assert found.input_check is not None
    check = found.input_check
    known.add(f"{check.pictures_turned_away / check.pictures:.1%}")
    # What is part of the words: 95 % intervals, AUC, layer3[-1], the scale of sharpness, 15 bins.
    words = {"95", "15", "0", "1", "0.9", "1600", "2", "3", "4"}
    numbers = set(re.findall(r"(?<![\w.])\d+(?:\.\d+)?%?", text.replace(",", "")))
    assert numbers - known - words == set()
    assert len(numbers) > 60


def written(value: object) -> set[str]:
    """Every way in which the sections write the numbers of a JSON value."""
    if isinstance(value, dict):
        return set().union(*(written(item) for item in value.values()), *map(written, value))
    if isinstance(value, list):
        return set().union(*map(written, value)) if value else set()
    if isinstance(value, str):
        return set(re.findall(r"\d+(?:\.\d+)?%?", value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return set()
    return {f"{value:.{n}f}" for n in range(5)} | {f"{value:.0%}", f"{value:.1%}", str(value)}


def test_the_card_holds_the_notice_the_figures_and_the_limits(measured: Path) -> None:
    text = run_card(measured)
    assert text.count(NOTICE) >= 2
    for heading in ("Intended use", "Data", "Training", "Limits", "Known failure cases"):
        assert f"\n## {heading}\n" in text
    for picture in re.findall(r"\]\((figures/[^)]+)\)", text):
        if "sharpness" not in picture:
            assert (measured / "bundle" / picture).stat().st_size > 1000
    assert "CC BY 4.0" in text
    assert "CC0" in text
    kept = Bundle.read(measured / "bundle").description.metrics
    result = json.loads((measured / "results" / "patient" / "evaluation.json").read_text())
    assert kept["patient"] == result


def test_another_figure_in_the_json_is_another_figure_in_the_card(measured: Path) -> None:
    before = run_card(measured)
    path = measured / "results" / "patient" / "evaluation.json"
    content = json.loads(path.read_text())
    content["accuracy"]["value"] = 0.12345
    path.write_text(json.dumps(content))
    after = run_card(measured)
    assert "12.3%" in after
    assert "12.3%" not in before


def test_a_checked_card_stays_and_says_which_figures_differ(measured: Path) -> None:
    text = run_card(measured)
    assert run_card(measured, check=True) == text
    path = measured / "results" / "patient" / "evaluation.json"
    content = json.loads(path.read_text())
    content["accuracy"]["value"] = 0.12345
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"\+ .*\*\*12\.3%") as refused:
        run_card(measured, check=True)
    assert "lines of" in str(refused.value)
    assert (measured / "bundle" / "README.md").read_text(encoding="utf-8") == text


def test_a_quick_run_makes_no_card(measured: Path) -> None:
    path = measured / "results" / "patient" / "evaluation.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"robustness": None}))
    with pytest.raises(DataError, match="quick run"):
        run_card(measured)


def test_results_of_other_weights_are_refused(measured: Path) -> None:
    path = measured / "results" / "patient" / "evaluation.json"
    path.write_text(
        path.read_text().replace(Bundle.read(SHIPPED_BUNDLE).description.sha256, "0" * 64)
    )
    with pytest.raises(DataError, match="of other weights"):
        run_card(measured)
    shutil.rmtree(measured / "results")
    with pytest.raises(DataError, match="run `python -m training evaluate` first"):
        run_card(measured)


@pytest.mark.parametrize("name", ["evaluation.json", "explanations.json"])
def test_results_of_other_settings_are_refused(measured: Path, name: str) -> None:
    path = measured / "results" / "patient" / name
    layer = Bundle.read(SHIPPED_BUNDLE).description.explanation.layer
    path.write_text(path.read_text().replace(f'"layer": "{layer}"', '"layer": "layer1[-1]"'))
    with pytest.raises(DataError, match="of other settings"):
        run_card(measured)


@pytest.mark.parametrize("name", ["explain-quality", "spatial"])
def test_a_section_about_other_settings_is_refused(measured: Path, name: str) -> None:
    description = Bundle.read(SHIPPED_BUNDLE).description
    said = {"explain-quality": "chosen", "spatial": "settings"}[name]
    own = {"chosen": asdict(description.explanation), "settings": asdict(settings_of(description))}
    attach(measured, description.sha256, name, {said: own[said] | {"layer": "layer1[-1]"}})
    with pytest.raises(DataError, match="of other settings"):
        run_card(measured)
    attach(measured, description.sha256, name, {said: rounded(own[said])})
    assert "### Where the maps look" in run_card(measured)


def test_a_section_of_another_command_stands_in_the_card(measured: Path) -> None:
    attach(measured, Bundle.read(SHIPPED_BUNDLE).description.sha256)
    text = run_card(measured)
    assert "### Where the maps look" in text
    assert text.index("### Where the maps look") < text.index("## Limits")


def test_a_section_about_other_weights_is_refused(measured: Path) -> None:
    attach(measured, "0" * 64)
    with pytest.raises(DataError, match="of other weights"):
        run_card(measured)


def test_a_section_that_names_no_weights_is_refused(measured: Path) -> None:
    attach(measured, None)
    with pytest.raises(DataError, match="which weights"):
        run_card(measured)


def attach(
    measured: Path,
    sha256: str | None,
    name: str = "explain-quality",
    more: Mapping[str, object] | None = None,
) -> None:
    folder = measured / "results" / "patient"
    figures = {"slices": 3, **({} if sha256 is None else {"sha256": sha256}), **(more or {})}
    (folder / f"{name}.json").write_text(json.dumps(figures))
    (folder / f"{name}.md").write_text("### Where the maps look\n\n3 slices.\n")
