"""The network as an ONNX model, written node by node from its modules.

No tracing and no exporter: a ResNet of bottleneck blocks is five kinds of node. Batch
normalization is folded into the convolutions. Beside the logits the model gives the pooled
features of named layers, and any layer's output under the layer's own name.
"""

from dataclasses import dataclass, field

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models import ResNet
from torchvision.models.resnet import Bottleneck

from neuroscan.network.layers import canonical, layer_names

INPUT, LOGITS, FEATURES = "slices", "logits", "features"
Attribute = int | list[int]
_OPSET = 18
# The oldest format that holds this opset, so that older runtimes read it too.
_IR_VERSION = 9


@dataclass
class _Graph:
    """Nodes and weights so far; every method returns the name of what it adds."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)

    def add(self, kind: str, *inputs: str, name: str | None = None, **attributes: Attribute) -> str:
        output = name or f"{kind.lower()}_{len(self.nodes)}"
        node = helper.make_node(kind, list(inputs), [output])
        node.attribute.extend(helper.make_attribute(key, attributes[key]) for key in attributes)
        self.nodes.append(node)
        return output

    def weight(self, values: NDArray[np.generic]) -> str:
        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def convolution(self, hidden: str, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> str:
        fused = fuse_conv_bn_eval(conv, norm)
        assert fused.bias is not None
        top, left = (int(side) for side in fused.padding)
        return self.add(
            "Conv",
            hidden,
            self.weight(fused.weight.detach().numpy()),
            self.weight(fused.bias.detach().numpy()),
            kernel_shape=list(fused.kernel_size),
            strides=list(fused.stride),
            pads=[top, left, top, left],
        )

    def linear(self, hidden: str, linear: nn.Linear, name: str | None = None) -> str:
        weight = self.weight(linear.weight.detach().numpy())
        bias = self.weight(linear.bias.detach().numpy())
        return self.add("Gemm", hidden, weight, bias, name=name, transB=1)

    def pooled(self, hidden: str) -> tuple[str, str]:
        """The channels' means over positions and their standard deviations, (N, C) each."""
        axes = self.weight(np.array([2, 3], np.int64))
        mean = self.add("ReduceMean", hidden, axes, keepdims=1)
        apart = self.add("Sub", hidden, mean)
        square = self.add("Mul", apart, apart)
        deviation = self.add("Sqrt", self.add("ReduceMean", square, axes, keepdims=0))
        return self.add("Flatten", mean, axis=1), deviation


def onnx_model(
    model: ResNet, features: tuple[str, ...], outputs: tuple[str, ...] = ()
) -> onnx.ModelProto:
    """The model on the CPU, in eval mode, for any number of slices (N, 3, S, S) of any size.

    Its outputs are `logits` (N, classes), `features` (N, D) as `forward_with_features` gives them
    for the layers `features` (when there are any), and the outputs (N, C, h, w) of the layers
    `outputs`, in that order, under their canonical names. Raises `UnknownLayer`.
    """
    pooled = {canonical(model, layer) for layer in features}
    wanted = [canonical(model, layer) for layer in outputs]
    graph = _Graph()
    parts: list[str] = []
    hidden = graph.convolution(INPUT, model.conv1, model.bn1)
    hidden = graph.add("Relu", hidden)
    hidden = graph.add("MaxPool", hidden, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    blocks = (*model.layer1, *model.layer2, *model.layer3, *model.layer4)
    for name, block in zip(layer_names(model), blocks, strict=True):
        hidden = _block(graph, hidden, block, name)
        if name in pooled:
            parts += graph.pooled(hidden)
    hidden = graph.add("Flatten", graph.add("GlobalAveragePool", hidden), axis=1)
    hidden = graph.add("Relu", graph.linear(hidden, model.fc[0]))
    graph.linear(hidden, model.fc[-1], LOGITS)
    if parts:
        graph.add("Concat", *parts, name=FEATURES, axis=1)
    return _finished(graph, [LOGITS, FEATURES] if parts else [LOGITS], wanted)


def _block(graph: _Graph, hidden: str, block: nn.Module, name: str) -> str:
    """A bottleneck: three convolutions beside the identity or a projection."""
    assert isinstance(block, Bottleneck)
    kept = hidden
    if block.downsample is not None:
        kept = graph.convolution(hidden, block.downsample[0], block.downsample[1])
    hidden = graph.add("Relu", graph.convolution(hidden, block.conv1, block.bn1))
    hidden = graph.add("Relu", graph.convolution(hidden, block.conv2, block.bn2))
    hidden = graph.convolution(hidden, block.conv3, block.bn3)
    return graph.add("Relu", graph.add("Add", hidden, kept), name=name)


def _finished(graph: _Graph, flat: list[str], layers: list[str]) -> onnx.ModelProto:
    def tensor(name: str, *shape: str | int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "network",
            [tensor(INPUT, "n", 3, "height", "width")],
            [tensor(name, "n", f"{name}_width") for name in flat]
            + [tensor(name, "n", f"{name}_c", f"{name}_h", f"{name}_w") for name in layers],
            graph.weights,
        ),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
    )
    onnx.checker.check_model(model)
    return model
