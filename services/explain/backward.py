"""Gradients of convolutions by one matrix product, for one slice on the CPU.

With few positions and many channels, as in the deep layers, torch takes twice as long for the
gradient with respect to a convolution's input as for the convolution itself. It is one product of
the output's gradient (positions, channels out) with the weights as they lie in memory, which takes
as long as the way forward.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import fold
from torch.overrides import TorchFunctionMode

Pair = tuple[int, int]
# Above this a kernel of several pixels costs as much to fold back as its product saves.
_POSITIONS_MAX = 25


class BackwardByProducts(TorchFunctionMode):
    """Within it, convolutions that gain by it are differentiated by a product; values don't change.

    Only the gradient of the input is known: that of the weights is not what maps need.
    """

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Called for each function of torch."""
        if func is torch.conv2d and not kwargs and len(args) == 7 and _gains(*args):
            return _Convolution.apply(*args[:5])
        return func(*args, **(kwargs or {}))


def _gains(
    hidden: Tensor,
    weight: Tensor,
    _bias: Tensor | None,
    stride: Pair,
    padding: Pair | str,
    dilation: Pair,
    groups: int,
) -> bool:
    """Whether it is a plain convolution of one slice with few positions."""
    if isinstance(padding, str) or tuple(dilation) != (1, 1) or groups != 1:
        return False
    if hidden.device.type != "cpu" or hidden.ndim != 4 or len(hidden) != 1:
        return False
    if weight.shape[2:] == (1, 1):
        return tuple(padding) == (0, 0)
    return hidden.shape[2] * hidden.shape[3] <= _POSITIONS_MAX * stride[0] * stride[1]


class _Convolution(torch.autograd.Function):
    """`conv2d`, differentiable with respect to its input."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: Pair,
        padding: Pair,
    ) -> Tensor:
        """The convolution itself."""
        ctx.save_for_backward(weight)
        ctx.shape, ctx.stride, ctx.padding = hidden.shape, stride, padding
        return torch.conv2d(hidden, weight, bias, stride, padding)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """The input's gradient, and none of the others."""
        (weight,) = ctx.saved_tensors
        columns = (gradient.flatten(2)[0].T @ weight.flatten(1)).T
        return _placed(columns, weight, ctx.shape, ctx.stride, ctx.padding), None, None, None, None


def _placed(
    columns: Tensor, weight: Tensor, shape: torch.Size, stride: Pair, padding: Pair
) -> Tensor:
    """The columns (channels in × kernel, positions), added up where the input's pixels lie."""
    if weight.shape[2:] != (1, 1):
        kernel = (weight.shape[2], weight.shape[3])
        return fold(columns.unsqueeze(0), tuple(shape[2:]), kernel, padding=padding, stride=stride)
    if tuple(stride) == (1, 1):
        return columns.contiguous().reshape(shape)
    whole = columns.new_zeros(shape)
    reached = whole[:, :, :: stride[0], :: stride[1]]
    reached.copy_(columns.reshape(reached.shape))
    return whole
