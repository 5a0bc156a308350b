"""The card's comparison of explanation methods, written from `explanations.json` alone."""

from collections.abc import Sequence

from training import paper
from training.explanation_figures import Comparison, MethodFigures
from training.figures import readable
from training.markdown import METHOD_NAMES, number, share, table


def explanation_section(found: Comparison) -> str:
    """The comparison of the three methods, in Markdown."""
    layers = list(dict.fromkeys(one.layer for one in found.methods))
    blocks = [
        "### The three explanation methods",
        (
            f"{found.slices} test slices, evenly spread over each class, {found.masked} of them "
            "with an annotated tumor; the class explained is the network's own answer. Sharpness "
            "is this project's definition, since the paper gives none: the share of the map's "
            "positive mass in its hottest tenth of the picture, less the tenth that a flat map has "
            "there, over 0.9. 0 is a flat map, 1 a map within a tenth of the picture. The map has "
            "the layer's own resolution. The paper's figures are by its own measure, at a layer "
            "that it does not name; only their order can be compared."
        ),
    ]
    for layer in layers:
        at = [one for one in found.methods if one.layer == layer]
        blocks += [f"At `{layer}`:", _sharpness_table(at)]
        name = layer.replace("[-1]", "")
        blocks.append(f"![Sharpness by class at {layer}](figures/sharpness-{name}.png)")
    if "layer4[-1]" in layers:
        blocks.append(
            "At `layer4[-1]`, the last layer before global average pooling, the gradient is the "
            "same at every place, so HiRes-CAM and Grad-CAM are the same map (largest difference "
            f"measured here: {found.last_layer_difference:.4f} of the map's maximum). A difference "
            "between the two can only be seen at an earlier layer."
        )
    blocks.append(
        "Sharper is not better: a map may be sharp and point elsewhere. Peak inside and energy "
        "inside say how often the map's maximum, and how much of its positive evidence, lies "
        "inside the annotated tumor."
    )
    return "\n\n".join(blocks) + "\n"


def _sharpness_table(methods: Sequence[MethodFigures]) -> str:
    stated = {one.name: one.sharpness for one in paper.CLASSES}
    names = [one.name for one in methods[0].sharpness]
    header = ["method", *(f"{readable(name)} / paper" for name in names), "peak inside",
              "energy inside", "no evidence"]  # fmt: skip
    rows = [
        [
            METHOD_NAMES[one.method],
            *(
                f"{number(of_class.sharpness)} / {stated[of_class.name][one.method]:.4f}"
                for of_class in one.sharpness
            ),
            share(one.pointing),
            share(one.energy),
            str(one.without_evidence),
        ]
        for one in methods
    ]
    return table(header, rows)
