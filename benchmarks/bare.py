"""The whole of a scan's work in one process: what the pipeline is held against."""

from dataclasses import dataclass
from datetime import UTC, datetime

import torch

from neuroscan import __version__
from neuroscan.contracts.enums import TumorClass
from neuroscan.contracts.messages import ExplainTask
from neuroscan.contracts.report import ReportPictures, ReportRequest
from neuroscan.contracts.results import ExplainResult, InferenceResult
from neuroscan.contracts.scan import ScanView
from neuroscan.contracts.spatial import MeasureResult
from neuroscan.imaging.decode import Decoded, decode
from neuroscan.imaging.region_mask import read_region_mask
from neuroscan.imaging.stored import read_slice_png
from neuroscan.network.bundle import Bundle
from neuroscan.network.preprocess import preprocess
from neuroscan.settings import SHIPPED_BUNDLE, InferenceSettings
from neuroscan.storage import Storage
from services.explain.explainer import Explainer
from services.inference.answer import answer
from services.inference.engines import make_engine
from services.reports.render import Renderer
from services.spatial.measure import measure
from services.spatial.plane import warm_up
from services.spatial.standing import about_region

_PREFIX = "scans/bare/explain/1"


@dataclass(frozen=True, eq=False)
class Explained:
    """The explain stage's facts, and its pictures as PNG files' content."""

    result: ExplainResult
    heatmap: bytes
    overlay: bytes
    mask: bytes | None


class Bare:
    """The services' own functions, called one after the other by one thread.

    `like` is a completed scan, whose page the report prints.
    """

    def __init__(self, like: ScanView) -> None:
        settings = InferenceSettings(device="cpu", torch_threads=1)
        bundle = Bundle.read(SHIPPED_BUNDLE)
        self._like = like
        self._bundle = bundle.description
        self._engine = make_engine(bundle, settings)
        self._engine.warm_up(1)
        self._storage = Storage("memory://")
        self._explainer = Explainer(
            bundle_folder=SHIPPED_BUNDLE, device="cpu", threads=1, storage=self._storage
        )
        self._renderer = Renderer()
        self._renderer.warm_up()
        warm_up()
        torch.set_num_threads(1)

    def decode(self, content: bytes) -> Decoded:
        """The upload's pixels, `slice.png` and thumbnail."""
        return decode(content)

    def classify(self, decoded: Decoded) -> InferenceResult:
        """From `slice.png`, as the service does it."""
        tensor = preprocess(read_slice_png(decoded.slice_png), self._bundle.preprocessing)
        return answer(self._bundle, self._engine.predict([tensor])[0], 0.0)

    def explain(self, decoded: Decoded, label: TumorClass) -> Explained:
        """Map, regions and pictures; the object store is this process's memory."""
        self._storage.put("scans/bare/slice.png", decoded.slice_png)
        task = ExplainTask(
            scan_id="bare",
            attempt=1,
            input_digest="",
            request_id="",
            prefix=_PREFIX,
            slice_key="scans/bare/slice.png",
            label=label,
        )
        result = self._explainer(task, _PREFIX)
        kept = result.objects
        return Explained(
            result=result,
            heatmap=self._storage.get(kept.heatmap),
            overlay=self._storage.get(kept.overlay),
            mask=self._storage.get(kept.mask) if kept.mask else None,
        )

    def measure(
        self, decoded: Decoded, found: InferenceResult, explained: Explained
    ) -> MeasureResult:
        """The ten parameters."""
        mask = explained.mask
        facts = explained.result.explanation
        return measure(
            decoded.slice.pixels,
            read_region_mask(read_slice_png(mask)) if mask else None,
            decoded.slice.geometry,
            label=found.classification.label,
            confidence=found.classification.confidence,
            calibrated=found.classification.calibrated,
            input_accepted=found.input_check.accepted,
            about=about_region(facts.region_source, facts.segmentation_dice),
        )

    def report(self, decoded: Decoded, explained: Explained) -> bytes:
        """The PDF."""
        request = ReportRequest(
            scan=self._like,
            patient=None,
            notes=None,
            pictures=ReportPictures.model_construct(
                slice=decoded.slice_png, heatmap=explained.heatmap, overlay=explained.overlay
            ),
            software_version=__version__,
            made_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        return self._renderer.render(request).content

    def __call__(self, content: bytes) -> bytes:
        """All of it."""
        decoded = self.decode(content)
        found = self.classify(decoded)
        explained = self.explain(decoded, found.classification.label)
        self.measure(decoded, found, explained)
        return self.report(decoded, explained)
