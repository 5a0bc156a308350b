"""The network with batch normalization folded into the convolutions: less work, same answers."""

import copy

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models import ResNet
from torchvision.models.resnet import Bottleneck


def fused(model: ResNet) -> ResNet:
    """A copy of the model in eval mode, fp32, whose normalizations are identities.

    It is cut, named and run like the model itself (`neuroscan.network.layers`).
    """
    result: ResNet = copy.deepcopy(model)
    result.conv1 = fuse_conv_bn_eval(result.conv1, result.bn1)
    result.bn1 = nn.Identity()
    for block in result.modules():
        if isinstance(block, Bottleneck):
            _fold(block)
    return result.requires_grad_(requires_grad=False)


def _fold(block: Bottleneck) -> None:
    for number in ("1", "2", "3"):
        conv, norm = getattr(block, f"conv{number}"), getattr(block, f"bn{number}")
        setattr(block, f"conv{number}", fuse_conv_bn_eval(conv, norm))
        setattr(block, f"bn{number}", nn.Identity())
    if block.downsample is not None:
        block.downsample = nn.Sequential(fuse_conv_bn_eval(*block.downsample))
