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


def choose_precision(wanted: str, device: torch.device) -> torch.dtype:
    """What the network computes in, for `auto`, `float32`, `bfloat16` or `float16` on a device.

    `auto` is float16 on a CUDA device of compute capability 7 or more, whose tensor cores take it,
    else float32. Raises `ValueError` for another word, and for bfloat16 on an older CUDA device
    than 8.
    """
    known = {name: getattr(torch, name) for name in ("float32", "bfloat16", "float16")}
    if wanted != "auto" and wanted not in known:
        raise ValueError(f"the precision must be auto, {', '.join(known)}, not {wanted!r}")
    if device.type != "cuda":
        chosen = "float32" if wanted == "auto" else wanted
    else:
        major, _ = torch.cuda.get_device_capability(device)
        if wanted == "bfloat16" and major < 8:
            raise ValueError("this CUDA device has no bfloat16: set INFERENCE_PRECISION=float16")
        chosen = wanted if wanted != "auto" else "float16" if major >= 7 else "float32"
    dtype: torch.dtype = known[chosen]
    return dtype


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
