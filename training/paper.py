"""What the paper states, to stand beside what is measured here.

Source: Ravi et al., "Explainable Deep Learning Based Brain Tumor Classification Using ResNet50 with
HiRes-CAM Visualization and Spatial Analysis", the tables of test results and of sharpness.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class PaperClass:
    """One row of the paper's table of test results; `sharpness` by method."""

    name: str
    precision: float
    recall: float
    f1: float
    auc: float
    sharpness: dict[str, float]


ACCURACY = 0.95
SENSITIVITY = 0.950
SPECIFICITY = 0.985
F1 = 0.9488
TEST_IMAGES = 1600
CLASSES = (
    PaperClass(
        name="glioma",
        precision=0.9970,
        recall=0.8250,
        f1=0.9029,
        auc=0.9623,
        sharpness={"hirescam": 0.2841, "gradcam": 0.2175, "gradcam++": 0.2088},
    ),
    PaperClass(
        name="meningioma",
        precision=0.9136,
        recall=0.9775,
        f1=0.9444,
        auc=0.9947,
        sharpness={"hirescam": 0.2847, "gradcam": 0.2319, "gradcam++": 0.2372},
    ),
    PaperClass(
        name="no_tumor",
        precision=0.9238,
        recall=1.0,
        f1=0.9604,
        auc=0.9996,
        sharpness={"hirescam": 0.2685, "gradcam": 0.1820, "gradcam++": 0.1981},
    ),
    PaperClass(
        name="pituitary",
        precision=0.9779,
        recall=0.9975,
        f1=0.9876,
        auc=0.9997,
        sharpness={"hirescam": 0.2863, "gradcam": 0.2370, "gradcam++": 0.2231},
    ),
)
