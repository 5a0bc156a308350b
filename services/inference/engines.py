"""Which engine runs the network."""

from neuroscan.network.bundle import Bundle
from neuroscan.network.device import use_onnx_runtime
from neuroscan.settings import InferenceSettings
from services.inference.engine import Engine, TorchEngine


def make_engine(bundle: Bundle, settings: InferenceSettings) -> Engine:
    """The settings' engine, loaded; raises `BundleError`, and `ValueError` (`use_onnx_runtime`)."""
    if not use_onnx_runtime(settings.inference_engine, settings.device):
        return TorchEngine(bundle, settings.device, settings.torch_threads)
    from services.inference.onnx_engine import OnnxEngine  # noqa: PLC0415 - not everywhere there

    return OnnxEngine(bundle, settings.torch_threads)
