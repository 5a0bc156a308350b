"""The thread that sends notices, in every recorder; the recorders share what is due.

A notice is taken under a lease, sent, and then settled. One whose recorder was killed in between
is taken again when the lease is over: it comes at least once, with the same event id.
"""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http import HTTPStatus

from sqlalchemy import Engine

from neuroscan.contracts.enums import DeliveryFault, DeliveryState
from neuroscan.contracts.problems import Unavailable
from neuroscan.contracts.webhooks import Notice, NoticeData
from neuroscan.telemetry import get_logger
from services.gateway.audit.record import ObjectKind, note_reads
from services.gateway.auth.secrets import ServerSecret, UndecipherableError
from services.gateway.db.session import transaction
from services.gateway.db.tables import now
from services.gateway.pipeline.assembly import patiently
from services.gateway.webhooks import repository
from services.gateway.webhooks.repository import Due, Settled
from services.gateway.webhooks.sender import Outcome, Sender

ATTEMPTS_MAX = 12
FIRST_WAIT = timedelta(seconds=10)
LONGEST_WAIT = timedelta(hours=1)
KEPT = timedelta(days=30)
# Above all that a try can take: resolving, sending, and noting it in a database that comes back.
LEASE = timedelta(seconds=40)
# As many webhooks are served at a time; one that hangs holds up only itself.
_WORKERS = 8
_POLL_S = 1.0
_SETTLE_PATIENCE_S = 10.0
_FORGET_EVERY_S = 600.0

log = get_logger(__name__)


class Dispatcher:
    """Sends until stopped."""

    def __init__(
        self, engine: Engine, secret: ServerSecret, sender: Sender, *, lease: timedelta = LEASE
    ) -> None:
        self._engine = engine
        self._secret = secret
        self._sender = sender
        self._lease = lease
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="webhook")
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._forget_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)

    def start(self) -> None:
        """Begin to send in the background."""
        self._thread.start()

    def stop(self) -> None:
        """End after the tries at hand."""
        self._stopped.set()
        self._wake.set()
        self._thread.join(timeout=10)
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._hand_out()
                self._forget()
            except Unavailable as error:
                log.warning("webhooks.wait", reason=error.detail)
            except Exception as error:
                # What is due stays due: the next turn takes it.
                log.exception("webhooks.failed", error=type(error).__name__)
            self._wake.wait(_POLL_S)
            self._wake.clear()

    def _hand_out(self) -> None:
        with self._lock:
            busy = set(self._busy)
        free = _WORKERS - len(busy)
        if not free:
            return
        with transaction(self._engine) as session:
            taken = repository.claim(session, passed_over=busy, limit=free, lease=self._lease)
        for due in taken:
            with self._lock:
                self._busy.add(due.webhook_id)
            self._pool.submit(self._work, due)

    def _work(self, due: Due) -> None:
        try:
            self.deliver(due)
        except Unavailable as error:
            # The lease runs out, and it is sent again.
            log.warning("webhook.not_settled", event_id=due.id, reason=error.detail)
        except Exception as error:
            log.exception("webhook.failed", event_id=due.id, error=type(error).__name__)
        finally:
            with self._lock:
                self._busy.discard(due.webhook_id)
            self._wake.set()

    def deliver(self, due: Due) -> None:
        """Try to send a notice once, and note what came of it."""
        outcome = self._try(due)
        settled = settlement(due, outcome)
        for attempt in patiently(_SETTLE_PATIENCE_S):
            with attempt, transaction(self._engine) as session:
                ours = repository.settle(session, due, settled)
                if ours and outcome.told:
                    note_reads(session, due.owner, ObjectKind.SCAN, [due.scan_id])
        log.info(
            "webhook.tried",
            webhook_id=due.webhook_id,
            event_id=due.id,
            state=settled.state,
            status=outcome.status_code,
            error=outcome.fault,
        )

    def _try(self, due: Due) -> Outcome:
        if not due.owner_lives:
            return Outcome(fault=DeliveryFault.OWNER_GONE)
        try:
            secret = self._secret.decrypt(due.secret).decode()
        except UndecipherableError:
            return Outcome(fault=DeliveryFault.SECRET_LOST)
        return self._sender.send(due.url, due.id, notice_body(due), secret)

    def _forget(self) -> None:
        if time.monotonic() < self._forget_at:
            return
        with transaction(self._engine) as session:
            repository.forget_finished(session, now() - KEPT)
        self._forget_at = time.monotonic() + _FORGET_EVERY_S


def notice_body(due: Due) -> bytes:
    """The notice as it is posted: the same bytes at every try."""
    data = NoticeData.model_validate(due.payload)
    notice = Notice(id=due.id, created_at=due.created_at, data=data)
    return notice.model_dump_json(exclude_none=True).encode()


def settlement(due: Due, outcome: Outcome) -> Settled:
    """What follows from a try: over for good, or another one later."""
    attempts = due.attempts + 1
    state = DeliveryState.PENDING
    if outcome.fault is None:
        state = DeliveryState.DELIVERED
    elif _is_hopeless(outcome) or attempts >= ATTEMPTS_MAX:
        state = DeliveryState.FAILED
    return Settled(
        state=state,
        status_code=outcome.status_code,
        error=outcome.fault,
        attempts=attempts,
        retry_at=now() + wait_after(attempts) if state is DeliveryState.PENDING else None,
    )


def wait_after(attempts: int) -> timedelta:
    """How long to wait after so many tries: 10 s, twice as long each time, up to an hour.

    Up to a fifth is taken off by chance, so that what failed together is not tried together.
    """
    doublings: int = 2 ** (attempts - 1)
    longest = min(FIRST_WAIT * doublings, LONGEST_WAIT)
    return longest * random.uniform(0.8, 1.0)  # noqa: S311 - spreads load, guards nothing


def _is_hopeless(outcome: Outcome) -> bool:
    return outcome.status_code == HTTPStatus.GONE or outcome.fault in (
        DeliveryFault.OWNER_GONE,
        DeliveryFault.SECRET_LOST,
    )
