"""Write the notices of a scan's change, in the transaction of the change itself."""

from collections.abc import Sequence

from sqlmodel import Session

from neuroscan.contracts.enums import ScanState, StageName, TumorClass
from neuroscan.contracts.results import InferenceResult
from neuroscan.contracts.webhooks import NoticeData
from services.gateway.db.tables import OWN_TRACK, Scan, Stage, WebhookDelivery
from services.gateway.webhooks import repository


def enqueue(session: Session, scan: Scan) -> None:
    """Tell the webhooks that want it of the scan's state, if it is a new one.

    To be called before the change's own `ScanEvent` is added: the events so far say which state
    was told last. Without webhooks it costs one query of an empty table.
    """
    tell(session, scan, repository.listeners(session, scan))


def tell(session: Session, scan: Scan, hooks: Sequence[str]) -> None:
    """Write the notices for these webhooks; the scan's row must be there."""
    if not hooks:
        return
    payload = _data(scan, _classification(session, scan)).model_dump(mode="json", exclude_none=True)
    for webhook_id in hooks:
        session.add(WebhookDelivery(webhook_id=webhook_id, scan_id=scan.id, payload=payload))


def _classification(session: Session, scan: Scan) -> InferenceResult | None:
    if scan.label is None:
        return None
    stage = session.get_one(Stage, (scan.id, OWN_TRACK, StageName.CLASSIFY))
    return InferenceResult.model_validate(stage.output)


def _data(scan: Scan, found: InferenceResult | None) -> NoticeData:
    return NoticeData(
        scan_id=scan.id,
        state=ScanState(scan.state),
        version=scan.version,
        label=TumorClass(scan.label) if scan.label else None,
        prediction_set=found.classification.prediction_set if found else None,
        input_accepted=found.input_check.accepted if found else None,
        links={"self": f"/v1/scans/{scan.id}"},
    )
