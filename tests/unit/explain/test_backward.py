"""Gradients by one product are torch's own."""

import pytest
import torch
from torch import nn

from services.explain.backward import BackwardByProducts

Shape = tuple[int, int, int, int]


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "shape"),
    [
        (1, 1, 0, (1, 24, 4, 4)),
        (1, 2, 0, (1, 24, 8, 8)),
        (1, 2, 0, (1, 8, 7, 5)),
        (1, 1, 0, (1, 8, 16, 16)),
        (3, 1, 1, (1, 16, 4, 4)),
        (3, 2, 1, (1, 16, 8, 8)),
        (3, 2, 1, (1, 16, 7, 5)),
        (3, 1, 0, (1, 16, 4, 4)),
    ],
)
@pytest.mark.parametrize("bias", [False, True])
def test_gradients_are_those_of_torch(
    kernel: int, stride: int, padding: int, shape: Shape, *, bias: bool
) -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(shape[1], 12, kernel, stride, padding, bias=bias)
    outputs, gradients = [], []
    slices = torch.randn(shape, requires_grad=True)
    for ours in (False, True):
        if ours:
            with BackwardByProducts():
                output = convolution(slices)
            assert type(output.grad_fn).__name__ == "_ConvolutionBackward"
        else:
            output = convolution(slices)
        outputs.append(output.detach())
        weighed = (output * torch.arange(output.numel()).reshape(output.shape)).sum()
        gradients.append(torch.autograd.grad(weighed, slices)[0])
    assert torch.equal(*outputs)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-5, atol=1e-3)
    assert gradients[1].is_contiguous()


@pytest.mark.parametrize(
    ("convolution", "shape"),
    [
        (nn.Conv2d(8, 8, 3, padding=1), (1, 8, 8, 8)),
        (nn.Conv2d(8, 8, 1), (2, 8, 4, 4)),
        (nn.Conv2d(8, 8, 1, groups=2), (1, 8, 4, 4)),
        (nn.Conv2d(8, 8, 3, padding=2, dilation=2), (1, 8, 4, 4)),
        (nn.Conv2d(8, 8, 3, padding="same"), (1, 8, 4, 4)),
        (nn.Conv2d(8, 8, 1, padding=1), (1, 8, 4, 4)),
    ],
    ids=["many positions", "a batch", "groups", "dilation", "named padding", "padded"],
)
def test_what_gains_nothing_stays_with_torch(convolution: nn.Conv2d, shape: Shape) -> None:
    slices = torch.randn(shape, requires_grad=True)
    with BackwardByProducts():
        output = convolution(slices)
    assert type(output.grad_fn).__name__ != "_ConvolutionBackward"


def test_nothing_stays_behind() -> None:
    slices = torch.randn((1, 8, 4, 4), requires_grad=True)
    convolution = nn.Conv2d(8, 8, 1)
    with BackwardByProducts():
        torch.autograd.grad(convolution(slices).sum(), slices)
    assert convolution.weight.grad is None
    assert type(convolution(slices).grad_fn).__name__ != "_ConvolutionBackward"
