"""What the explain worker loads in each pool child.

The parent of a prefork pool must not touch torch, so nothing that imports it is imported here.
"""

from collections.abc import Callable

from neuroscan.contracts.messages import ExplainTask
from neuroscan.contracts.results import ExplainResult
from neuroscan.settings import ModelSettings, StoreSettings
from neuroscan.storage import open_storage


def load() -> Callable[[ExplainTask, str], ExplainResult]:
    """The handler of explain tasks, with the bundle's model loaded. Raises `BundleError`."""
    from services.explain.explainer import Explainer  # noqa: PLC0415 - torch, in the child only

    settings = ModelSettings()
    return Explainer(
        bundle_folder=settings.model_bundle,
        device=settings.device,
        threads=settings.torch_threads,
        storage=open_storage(StoreSettings()),
        engine=settings.inference_engine,
    )
