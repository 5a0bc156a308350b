"""Which engine runs the network."""

import importlib.util

from neuroscan.network.bundle import Bundle
from neuroscan.network.device import choose_device
from neuroscan.settings import EngineName, InferenceSettings
from services.inference.engine import Engine, TorchEngine


def choose_engine(wanted: EngineName, device: str) -> EngineName:
    """The engine for `auto`: ONNX Runtime on the CPU where it is installed, else torch.

    Raises `ValueError` for a device that isn't there, and for `onnxruntime` on CUDA or where it is
    not installed.
    """
    on_cpu = choose_device(device).type == "cpu"
    installed = all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime"))
    if wanted is EngineName.AUTO:
        return EngineName.ONNXRUNTIME if on_cpu and installed else EngineName.TORCH
    if wanted is EngineName.ONNXRUNTIME:
        if not on_cpu:
            raise ValueError("the engine onnxruntime runs on the CPU only: set DEVICE=cpu")
        if not installed:
            raise ValueError("the engine onnxruntime needs the packages onnx and onnxruntime")
    return wanted


def make_engine(bundle: Bundle, settings: InferenceSettings) -> Engine:
    """The settings' engine, loaded; raises `BundleError`, and `ValueError` as `choose_engine`."""
    if choose_engine(settings.inference_engine, settings.device) is EngineName.TORCH:
        return TorchEngine(bundle, settings.device, settings.torch_threads)
    from services.inference.onnx_engine import OnnxEngine  # noqa: PLC0415 - not everywhere there

    return OnnxEngine(bundle, settings.torch_threads)
