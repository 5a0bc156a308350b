"""`summary.pdf` when the reports service does not give one."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest

from neuroscan.contracts.problems import NeuroscanError, StageFailed, Unavailable
from neuroscan.settings import GatewaySettings
from services.gateway.batches.summary import print_summary
from services.gateway.db.tables import Batch
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.pipeline.breaker import Dropped


@pytest.mark.parametrize("error", [StageFailed, lambda: Dropped("It ended over the request.")])
def test_whatever_became_of_the_call_the_caller_is_to_try_again(
    error: Callable[[], NeuroscanError],
) -> None:
    def render(*_: object, **__: object) -> bytes:
        raise error()

    pipeline = SimpleNamespace(
        settings=GatewaySettings(), storage=None, reports=SimpleNamespace(render_summary=render)
    )
    with pytest.raises(Unavailable) as raised:
        print_summary(cast("Pipeline", pipeline), Batch(owner="key:a"), None, (), "request-1")
    assert raised.value.code == Unavailable.code
