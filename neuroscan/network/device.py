"""Which device the network runs on, and by what."""

import importlib.util

import torch


def choose_device(wanted: str) -> torch.device:
    """The device for `auto` (CUDA where there is one, else the CPU), `cpu` or `cuda`.

    Raises `ValueError` for another word, and for `cuda` where there is none.
    """
    if wanted not in ("auto", "cpu", "cuda"):
        raise ValueError(f"the device must be auto, cpu or cuda, not {wanted!r}")
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise ValueError("the device is set to cuda, but there is no CUDA device")
    return torch.device("cuda" if wanted != "cpu" and available else "cpu")


def use_onnx_runtime(wanted: str, device: str) -> bool:
    """Whether the engine `wanted` means ONNX Runtime; `auto` takes it on the CPU if installed.

    Raises `ValueError` for a device that isn't there, an engine other than `auto`, `torch` and
    `onnxruntime`, and for `onnxruntime` on CUDA or where it is not installed.
    """
    if wanted not in ("auto", "torch", "onnxruntime"):
        raise ValueError(f"the engine must be auto, torch or onnxruntime, not {wanted!r}")
    on_cpu = choose_device(device).type == "cpu"
    installed = all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime"))
    if wanted == "onnxruntime":
        if not on_cpu:
            raise ValueError("the engine onnxruntime runs on the CPU only: set DEVICE=cpu")
        if not installed:
            raise ValueError("the engine onnxruntime needs the packages onnx and onnxruntime")
    return wanted != "torch" and on_cpu and installed
