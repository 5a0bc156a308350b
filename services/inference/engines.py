"""Which engine runs the network."""

from neuroscan.network.bundle import Bundle
from neuroscan.network.device import choose_device, use_onnx_runtime
from neuroscan.settings import EngineName, InferenceSettings, Precision
from services.inference.bucket_engine import BucketEngine
from services.inference.engine import Engine, TorchEngine


def make_engine(bundle: Bundle, settings: InferenceSettings) -> Engine:
    """The settings' engine, loaded.

    Raises `BundleError`, and `ValueError` for what isn't there (`use_onnx_runtime`,
    `choose_precision`) and for ONNX Runtime with less than float32.
    """
    precision, device = settings.inference_precision, settings.device
    reduced = precision in (Precision.BFLOAT16, Precision.FLOAT16)
    with_onnx_runtime = use_onnx_runtime(settings.inference_engine, device)
    if reduced and settings.inference_engine is EngineName.ONNXRUNTIME:
        raise ValueError("the engine onnxruntime computes in float32 only")
    if reduced or choose_device(device).type == "cuda":
        return BucketEngine(bundle, device, settings.torch_threads, precision)
    if not with_onnx_runtime:
        return TorchEngine(bundle, device, settings.torch_threads)
    from services.inference.onnx_engine import OnnxEngine  # noqa: PLC0415 - not everywhere there

    return OnnxEngine(bundle, settings.torch_threads)
