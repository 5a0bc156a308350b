"""The inference service over HTTP: `slice.png` in, `InferenceResult` out."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import anyio
from fastapi import Depends, FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import ClientDisconnect
from torch import Tensor

from neuroscan import NOTICE
from neuroscan.contracts.enums import CamMethod
from neuroscan.contracts.model import ExplanationDefaults, ModelView, SegmentationFacts
from neuroscan.contracts.problems import (
    MAX_UPLOAD_BYTES,
    BadImage,
    EmptyFile,
    FileTooLarge,
    FormatMismatch,
    TruncatedImage,
    Unavailable,
)
from neuroscan.contracts.results import InferenceResult
from neuroscan.imaging.stored import read_slice_png
from neuroscan.network.bundle import Bundle, Description
from neuroscan.process import code_version
from neuroscan.serving import NO_TELEMETRY, Healthy, RequestLog, answer_with_problems
from neuroscan.settings import InferenceSettings
from neuroscan.telemetry import get_logger
from neuroscan.tracing import end_tracing
from services.inference.answer import answer, model_facts
from services.inference.batcher import Batcher, BatcherState
from services.inference.engine import Engine
from services.inference.engines import make_engine
from services.inference.metrics import Metrics

log = get_logger(__name__)

# `slice.png` is losslessly packed, so it can be larger than the upload that it was made from.
MAX_SLICE_BYTES = 2 * MAX_UPLOAD_BYTES
DRAIN_S = 20


def end_process() -> None:
    """Let whoever watches this process start another: what is broken in it can't be mended."""
    log.error("service.ends", reason="the engine can't work")
    os.kill(os.getpid(), signal.SIGTERM)


class Service:
    """What the routes share: the bundle, the batcher, the counters."""

    def __init__(self, bundle: Description, engine: Engine, settings: InferenceSettings) -> None:
        self.bundle = bundle
        self.engine = engine
        self.metrics = Metrics()
        self.metrics.model_is(model_facts(bundle), engine.name, engine.device, engine.precision)
        self.batcher = Batcher(engine, settings, self.metrics, broken=end_process)

    def decode(self, content: bytes) -> Tensor:
        """The network's input (1, 3, S, S) of a PNG; raises `BadImage`, `Unavailable`."""
        return self.batcher.prepare(read_slice_png(content))


def build_app(settings: InferenceSettings, engine: Engine | None = None) -> FastAPI:
    """The application; loads the bundle's weights unless it is given an engine.

    Raises `BundleError`, and `ValueError` for a device or an engine that isn't there.
    """
    bundle = Bundle.read(settings.model_bundle)
    service = Service(
        bundle.description,
        engine or make_engine(bundle, settings),
        settings,
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.batcher.start()
        yield
        await anyio.to_thread.run_sync(service.batcher.close, DRAIN_S)
        end_tracing()

    app = FastAPI(
        title="NeuroScan inference",
        version=code_version(),
        description=NOTICE,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        telemetry=NO_TELEMETRY,
    )
    app.state.service = service
    app.add_middleware(RequestLog, on_done=service.metrics.requests.done)
    answer_with_problems(app)
    app.add_api_route("/v1/classify", classify, methods=["POST"], response_model=InferenceResult)
    app.add_api_route("/v1/model", model, methods=["GET"], response_model=ModelView)
    app.add_api_route("/health/live", live, methods=["GET"], response_model=Healthy)
    app.add_api_route("/health/ready", ready, methods=["GET"], response_model=Healthy)
    app.add_api_route("/metrics", metrics_text, methods=["GET"], include_in_schema=False)
    return app


def _service(request: Request) -> Service:
    service = request.app.state.service
    assert isinstance(service, Service)
    return service


ServiceDep = Annotated[Service, Depends(_service)]


async def classify(request: Request, service: ServiceDep) -> InferenceResult:
    """Classify one slice, sent as the body, an 8-bit PNG."""
    began = time.perf_counter()
    try:
        content = await _body(request)
        with service.batcher.coming() as announced:
            # Decoded in this request's own thread, so that the network's only ever compute.
            tensor = await anyio.to_thread.run_sync(service.decode, content)
            answering = service.batcher.submit(tensor, announced)
    except BadImage:
        service.metrics.rejected("bad_image")
        raise
    prediction = await asyncio.wrap_future(answering)
    result = answer(service.bundle, prediction, (time.perf_counter() - began) * 1000)
    service.metrics.classified(result)
    log.info(
        "slice.classified",
        label=result.classification.label.value,
        confidence=round(result.classification.confidence, 4),
        accepted=result.input_check.accepted,
    )
    return result


async def model(service: ServiceDep) -> ModelView:
    """Which model answers, on what."""
    bundle = service.bundle
    return ModelView(
        model=model_facts(bundle),
        device=service.engine.device,
        device_name=service.engine.device_name,
        engine=service.engine.name,
        precision=service.engine.precision,
        classes=list(bundle.classes),
        input_size=bundle.preprocessing.input_size,
        coverage=bundle.conformal.coverage,
        temperature=bundle.calibration.temperature,
        input_check_threshold=bundle.input_check.threshold,
        explanation=ExplanationDefaults(
            method=CamMethod(bundle.explanation.method),
            layer=bundle.explanation.layer,
            region_threshold=bundle.explanation.region_threshold,
            reason=bundle.explanation.reason,
        ),
        segmentation=(
            SegmentationFacts(
                sha256=bundle.segmentation.sha256,
                fitted_on=bundle.segmentation.fitted_on,
                median_dice=bundle.segmentation_dice,
            )
            if bundle.segmentation
            else None
        ),
        license=bundle.license,
        code_version=code_version(),
    )


async def live() -> Healthy:
    """The process answers."""
    return Healthy()


async def ready(service: ServiceDep) -> Healthy:
    """The network is warm and takes work; 503 before that and while the service stops."""
    state = service.batcher.state
    if state is not BatcherState.READY:
        raise Unavailable(f"The network takes no work: {state}.", retry_after_s=2)
    return Healthy()


async def metrics_text(service: ServiceDep) -> Response:
    """Prometheus' text format."""
    return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)


async def _body(request: Request) -> bytes:
    declared = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if declared != "image/png":
        raise FormatMismatch("Send the slice as the body, with the content type image/png.")
    content = bytearray()
    try:
        async for chunk in request.stream():
            content += chunk
            if len(content) > MAX_SLICE_BYTES:
                raise FileTooLarge(f"A slice may have at most {MAX_SLICE_BYTES >> 20} MiB.")
    except ClientDisconnect as error:
        # Nobody reads the answer; without this the log would call it a crash.
        raise TruncatedImage from error
    if not content:
        raise EmptyFile
    return bytes(content)
