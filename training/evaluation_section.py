"""The card's tables of one split's measurements, written from `evaluation.json` alone."""

from collections.abc import Sequence

from training import paper
from training.calibration import BINS, CalibrationFigures
from training.evaluation import (
    ClassFigures,
    Evaluation,
    HiddenFigures,
    InputCheckFigures,
    MacroFigures,
    MapFigures,
    Measured,
    PartFigures,
)
from training.figures import readable
from training.markdown import METHOD_NAMES, number, share, table
from training.metrics import Estimate

COLUMNS = ("sensitivity", "specificity", "precision", "f1", "auc", "group_recall")


def evaluation_section(found: Evaluation) -> str:
    """The section on one split, in Markdown."""
    blocks = [
        _heading(found),
        _class_table(found),
        *_paper_table(found),
        *_figure_lines(found),
        _calibration_table(found),
        _set_table(found),
        *([_input_check_table(found.input_check)] if found.input_check else []),
        *_robustness_table(found),
        *_shortcut_table(found.shortcuts),
        _part_table("plane", found.planes),
        _part_table("source", found.sources),
        *_map_lines(found),
    ]
    return "\n\n".join(blocks) + "\n"


def _heading(found: Evaluation) -> str:
    at = found.measured
    text = (
        f"### The `{at.split}` split\n\n"
        f"{at.slices} slices in {at.groups} groups ({at.patients} of them known patients)"
        f"{_seen(at)}. "
        f"Accuracy **{share(found.accuracy)}**; with one answer a group "
        f"{share(found.group_accuracy)}. In brackets: 95 % intervals from {at.resamples} resamples "
        f"of whole groups (seed {at.seed})."
    )
    if at.copies_in_training:
        text += (
            f"\n\n**This split leaks:** {at.copies_in_training} of its {at.slices} pictures have a "
            "copy or mirror image among the training pictures. The figures below say how well the "
            "network remembers, too."
        )
    return text


def _seen(at: Measured) -> str:
    """What of the split was in training, in words; copies have a sentence of their own."""
    if at.copies_in_training:
        return ""
    if at.related_to_training:
        return (
            f", no picture of them in training; {at.related_to_training} slices belong to groups "
            "of which others are"
        )
    return ", none of them in training, nor any other slice of their groups"


def _class_table(found: Evaluation) -> str:
    header = ["class", "slices", "groups", "sensitivity", "specificity", "precision", "F1", "AUC",
              "recall by group"]  # fmt: skip
    rows = [
        [readable(one.name), str(one.slices), str(one.groups), *_figures(one)]
        for one in found.classes
    ]
    at = found.measured
    rows.append(["macro", str(at.slices), str(at.groups), *_figures(found.macro)])
    return table(header, rows)


def _figures(one: ClassFigures | MacroFigures) -> list[str]:
    cells = []
    for column in COLUMNS:
        figure: Estimate | None = getattr(one, column)
        cells.append(number(figure, 4) if column == "auc" else share(figure))
    return cells


def _paper_table(found: Evaluation) -> list[str]:
    stated = {one.name: one for one in paper.CLASSES}
    rows = []
    for one in found.classes:
        theirs = stated[one.name]
        pairs = (
            (one.precision, theirs.precision),
            (one.sensitivity, theirs.recall),
            (one.f1, theirs.f1),
            (one.auc, theirs.auc),
        )
        rows.append(
            [readable(one.name), *(f"{_value(ours)} / {value:.4f}" for ours, value in pairs)]
        )
    macro = found.macro
    overall = (
        (found.accuracy, paper.ACCURACY),
        (macro.sensitivity, paper.SENSITIVITY),
        (macro.specificity, paper.SPECIFICITY),
        (macro.f1, paper.F1),
    )
    harder = (
        ", a split of slices and not of patients, so they answer an easier question"
        if found.measured.split == "patient"
        else ""
    )
    return [
        (
            f"Beside the paper's table of test results (here / paper). The paper's are on its own "
            f"{paper.TEST_IMAGES:,} images{harder}:"
        ),
        table(["class", "precision", "recall", "F1", "AUC"], rows),
        table(
            ["accuracy", "mean sensitivity", "mean specificity", "mean F1"],
            [[f"{_value(ours)} / {value:.4f}" for ours, value in overall]],
        ),
    ]


def _value(found: Estimate | None) -> str:
    return "–" if found is None else f"{found.value:.4f}"


def _figure_lines(found: Evaluation) -> list[str]:
    names = {
        "confusion": "Confusion matrix",
        "roc": "ROC curves",
        "reliability": "Confidence and share of right answers",
    }
    if found.robustness:
        names["robustness"] = "Accuracy on changed slices"
    prefix = "figures" if found.measured.split == "patient" else f"figures/{found.measured.split}"
    return [f"![{text}]({prefix}/{name}.png)" for name, text in names.items()]


def _calibration_table(found: Evaluation) -> str:
    def row(name: str, one: CalibrationFigures) -> list[str]:
        verdict = "inside" if one.inside else "**above**"
        return [
            name,
            f"{one.temperature:.4f}",
            f"{one.brier:.4f}",
            f"{one.log_loss:.4f}",
            f"{one.ece:.4f}",
            f"{one.perfect_low:.4f}–{one.perfect_high:.4f}",
            verdict,
        ]

    header = ["probabilities", "temperature", "Brier score", "log loss", "calibration error",
              "a perfect network's 95 % band", ""]  # fmt: skip
    rows = [row("as trained", found.unscaled), row("scaled", found.scaled)]
    text = (
        f"Calibration ({BINS} bins of equal mass). The band takes slices for independent of one "
        "another; those of one patient are not, so it is too narrow."
    )
    return text + "\n\n" + table(header, rows)


def _set_table(found: Evaluation) -> str:
    sets = found.sets
    sizes = ", ".join(
        f"{part:.1%} of {size}" for size, part in enumerate(sets.sizes, start=1) if part > 0
    )
    text = (
        f"Prediction sets (never empty; nominal coverage {sets.nominal:.0%}, a class is in when "
        f"its probability reaches {sets.threshold:.4f}): {share(sets.coverage)} of slices covered, "
        f"{sets.group_coverage:.1%} with one vote a group; {sets.mean_size:.2f} classes on average "
        f"({sizes}). The threshold was fitted so that all slices together are covered, and each "
        "class by itself that has enough validation groups; a class with few has no promise of its "
        "own."
    )
    rows = [
        [readable(one.name), share(one.coverage), f"{one.mean_size:.2f}"] for one in sets.classes
    ]
    return text + "\n\n" + table(["class", "covered", "mean size"], rows)


def _input_check_table(check: InputCheckFigures) -> str:
    text = (
        f"Input check (distance above {check.threshold:.4f} is turned away): "
        f"{share(check.slices_turned_away)} of these slices; {check.pictures_turned_away} of "
        f"{check.pictures} made pictures that are no brain MRI "
        f"({check.pictures_turned_away / check.pictures:.1%}), AUROC {check.auroc:.4f}. They are "
        "drawn by the code, or crops of sample pictures that libraries bring."
    )
    if check.given:
        away = sum(one.turned_away for one in check.given)
        accepted = [one.kind for one in check.given if not one.turned_away]
        text += (
            f" Of {len(check.given)} real pictures that are no brain MRI, {away} are turned away"
        )
        text += f"; accepted: {', '.join(accepted)}" if accepted else ""
        text += f"; AUROC {check.given_auroc:.4f}." if check.given_auroc is not None else "."
    else:
        text += " No folder of real pictures that are no brain MRI was given."
    if check.skipped:
        text += f" Not read here (another format): {', '.join(check.skipped)}."
    rows = [[one.kind, str(one.pictures), str(one.turned_away)] for one in check.kinds]
    return text + "\n\n" + table(["made pictures", "number", "turned away"], rows)


def _robustness_table(found: Evaluation) -> list[str]:
    blocks = []
    if found.mirrored:
        blocks.append(
            f"Mirrored, {share(found.mirrored.answer_changes)} of the slices get another answer; "
            f"accuracy is then {share(found.mirrored.accuracy)}."
        )
    if found.robustness:
        rows = [
            [one.kind, one.strength, share(one.accuracy), share(one.answer_changes)]
            for one in found.robustness.changes
        ]
        rows.insert(0, ["none", "", share(found.robustness.accuracy), "–"])
        blocks.append(
            f"Changed slices ({found.robustness.slices}, evenly spread over the split):\n\n"
            + table(["change", "strength", "accuracy", "another answer"], rows)
        )
    return blocks


def _shortcut_table(shortcuts: Sequence[HiddenFigures] | None) -> list[str]:
    if not shortcuts:
        return []
    text = (
        "Shortcuts: the answers with something hidden. A network that went by the tumor alone "
        "would call a slice whose tumor is filled in from around it “no tumor”, and name no tumor "
        "from scalp and skull. What stays comes from elsewhere: plane, sequence, the rest of the "
        "head, or what the tumor does to it. (On slices without a tumor the outlines of others are "
        "filled in.)"
    )
    rows = [
        [
            one.hidden,
            readable(one.label),
            str(one.slices),
            str(one.groups),
            share(one.before),
            share(one.after),
            share(one.healthy),
        ]
        for one in shortcuts
    ]
    header = ["hidden", "class", "slices", "groups", "named rightly before", "after",
              "called no tumor after"]  # fmt: skip
    return [text + "\n\n" + table(header, rows)]


def _part_table(name: str, parts: Sequence[PartFigures]) -> str:
    rows = [
        [one.name, readable(one.label), str(one.slices), str(one.groups), share(one.recall)]
        for one in parts
    ]
    return f"Recall by {name} (of all classes together: accuracy):\n\n" + table(
        [name, "class", "slices", "groups", "recall"], rows
    )


def _map_lines(found: Evaluation) -> list[str]:
    if not found.maps:
        return []
    lines = [f"Default map ({METHOD_NAMES[found.maps.method]} at `{found.maps.layer}`):"]
    for name, figures in (("healthy", found.maps.healthy), ("annotated", found.maps.tumors)):
        if figures:
            lines.append(_map_line(name, figures))
    return ["\n".join(lines[:1] + [""] + [f"- {line}" for line in lines[1:]])]


def _map_line(name: str, figures: MapFigures) -> str:
    text = (
        f"{figures.slices} {name} slices: peak inside the head in {figures.peak_in_head:.1%}; "
        f"{figures.in_head:.1%} of the positive evidence lies inside the head; the region covers "
        f"{figures.region_share:.1%} of the picture; {figures.without_evidence} without positive "
        "evidence"
    )
    if figures.pointing and figures.energy and figures.mask_share is not None:
        text += (
            f"; peak inside the tumor in {share(figures.pointing)}, energy inside it "
            f"{share(figures.energy)} (the tumor covers {figures.mask_share:.1%} of the picture, "
            "which is what a random peak would score)"
        )
    return text + "."
