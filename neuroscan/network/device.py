"""Which device the network runs on."""

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
