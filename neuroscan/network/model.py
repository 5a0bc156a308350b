"""The classifier: torchvision's ResNet50 with the paper's head, without weights."""

from torch import nn
from torchvision.models import ResNet, resnet50

ARCHITECTURE = "torchvision resnet50; fc = Linear(2048,256), ReLU, Dropout(0.3), Linear(256,4)"
CLASSES = ("glioma", "meningioma", "no_tumor", "pituitary")


def build_model(classes: int = len(CLASSES)) -> ResNet:
    """A ResNet50 with random weights that takes (N, 3, S, S) and gives logits (N, classes).

    Source: Ravi et al., "Explainable Deep Learning Based Brain Tumor Classification Using ResNet50
    with HiRes-CAM Visualization and Spatial Analysis", the section on the model.
    """
    model: ResNet = resnet50(weights=None)
    model.fc = nn.Sequential(
        nn.Linear(2048, 256), nn.ReLU(), nn.Dropout(0.3), nn.Linear(256, classes)
    )
    return model
