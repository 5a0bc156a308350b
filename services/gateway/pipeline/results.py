"""What the inference service and the workers answer, as results of stages."""

from neuroscan.contracts.messages import Finished
from neuroscan.contracts.results import ExplainResult, InferenceResult
from neuroscan.process import code_version
from services.gateway.pipeline.ledger import StageRef
from services.gateway.pipeline.record import StageResult, ref_of


def classified(ref: StageRef, digest: str, result: InferenceResult) -> StageResult:
    """The inference service's answer as a stage result."""
    return StageResult(
        ref=ref,
        output=result.model_dump(mode="json"),
        digest=digest,
        code_version=code_version(),
        model_version=result.model.version,
    )


def from_message(message: Finished) -> StageResult:
    """A worker's message as a stage result."""
    result = message.result
    return StageResult(
        ref=ref_of(message),
        output=result.model_dump(mode="json"),
        digest=message.input_digest,
        prefix=message.prefix,
        code_version=message.code_version,
        model_version=result.model.version if isinstance(result, ExplainResult) else None,
    )
