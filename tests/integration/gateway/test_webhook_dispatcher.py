"""Notices reach real servers: signed, in order, at least once, each row by one dispatcher."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_network

import pytest
from sqlalchemy import Engine, update
from sqlmodel import col, select

from neuroscan import NOTICE
from neuroscan.contracts.access import KeyCreate
from neuroscan.contracts.enums import DeliveryFault, DeliveryState, Role
from services.gateway.auth.principal import Principal
from services.gateway.auth.secrets import ServerSecret
from services.gateway.auth.service import AccessService
from services.gateway.db.session import transaction
from services.gateway.db.tables import Audit, WebhookDelivery, now
from services.gateway.scans.repository import delete_scan
from services.gateway.webhooks import repository
from services.gateway.webhooks.addresses import AddressRules
from services.gateway.webhooks.dispatcher import (
    ATTEMPTS_MAX,
    Dispatcher,
    settlement,
    wait_after,
)
from services.gateway.webhooks.repository import Due
from services.gateway.webhooks.sender import Outcome, Sender
from tests.integration.gateway.hooks import (
    ALL_STATES,
    HOOK_SECRET,
    SERVER_SECRET,
    add_hook,
    canceled_scan,
    deliveries,
    let_time_pass,
)
from tests.integration.gateway.ledger import completed_scan
from tests.listener import Listener, answer

LOOPBACK = [ip_network("127.0.0.0/8")]
ADMIN = Principal(id="key:admin", role=Role.ADMIN)
LEASE = timedelta(seconds=40)


@pytest.fixture(scope="module")
def sender() -> Sender:
    return Sender(AddressRules(LOOPBACK))


@contextmanager
def dispatching(
    engine: Engine, sender: Sender, secret: ServerSecret = SERVER_SECRET
) -> Iterator[Dispatcher]:
    dispatcher = Dispatcher(engine, secret, sender)
    dispatcher.start()
    try:
        yield dispatcher
    finally:
        dispatcher.stop()


def until(condition: Callable[[], bool], limit_s: float = 20) -> None:
    ends = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.05)


def none_pending(engine: Engine) -> bool:
    return all(row.state != DeliveryState.PENDING for row in deliveries(engine))


def test_a_scans_notices_come_signed_and_in_order(engine: Engine, sender: Sender) -> None:
    with Listener() as listener, dispatching(engine, sender):
        hook = add_hook(engine, listener.url, states=ALL_STATES)
        scan_id = completed_scan(engine)
        received = listener.wait_for(4)
        until(lambda: none_pending(engine))
    rows = deliveries(engine, hook)
    assert [each.event_id for each in received] == [row.id for row in rows]
    assert [each.notice["data"]["state"] for each in received] == [
        "classified",
        "explained",
        "measured",
        "completed",
    ]
    for each, row in zip(received, rows, strict=True):
        assert each.is_signed_with(HOOK_SECRET)
        assert each.notice["id"] == row.id
        assert each.notice["type"] == "scan.state_changed"
        assert each.notice["data"] == row.payload
        assert set(each.notice) == {"id", "type", "created_at", "data", "notice"}
        assert each.notice["notice"] == NOTICE
        assert (row.state, row.status_code, row.attempts, row.error) == ("delivered", 204, 1, None)
        assert row.finished_at is not None
        assert row.next_at is None
    with transaction(engine) as session:
        [noted] = session.exec(select(Audit).where(Audit.object_id == scan_id)).all()
        assert (noted.principal, noted.action) == ("oidc:test", "read")


def test_a_server_that_fails_gets_the_same_notices_again_in_order(
    engine: Engine, sender: Sender
) -> None:
    with Listener(answer(503)) as listener, dispatching(engine, sender):
        add_hook(engine, listener.url, states=ALL_STATES)
        completed_scan(engine)
        [first] = listener.wait_for(1)
        # The later ones wait for the first, whose next try is some seconds away.
        listener.stays_at(1)
        tried, *others = deliveries(engine)
        assert (tried.state, tried.attempts, tried.status_code) == ("pending", 1, 503)
        assert tried.error == DeliveryFault.BAD_STATUS
        assert tried.next_at is not None
        assert timedelta(seconds=5) < tried.next_at - now() < timedelta(seconds=10)
        assert all(row.attempts == 0 for row in others)
        listener.behave = answer(200)
        let_time_pass(engine)
        received = listener.wait_for(5)
        until(lambda: none_pending(engine))
    assert received[0].body == received[1].body
    assert [each.event_id for each in received] == [
        first.event_id,
        *(row.id for row in deliveries(engine)),
    ]
    assert [row.attempts for row in deliveries(engine)] == [2, 1, 1, 1]


def test_a_failing_scan_or_hook_keeps_no_other_waiting(engine: Engine, sender: Sender) -> None:
    def hang(handler: BaseHTTPRequestHandler, _: int) -> None:
        time.sleep(4)

    with Listener(hang) as slow, Listener() as quick, dispatching(engine, sender):
        add_hook(engine, slow.url)
        add_hook(engine, quick.url)
        began = time.monotonic()
        for _ in range(12):
            canceled_scan(engine)
        quick.wait_for(12)
        assert time.monotonic() - began < 4
        assert len(slow.received) == 1


def test_two_dispatchers_send_each_notice_once(engine: Engine, sender: Sender) -> None:
    with Listener() as listener:
        for number in range(6):
            add_hook(engine, f"{listener.url}/{number}")
        for _ in range(20):
            canceled_scan(engine)
        with dispatching(engine, sender), dispatching(engine, sender):
            received = listener.wait_for(120)
            until(lambda: none_pending(engine))
            listener.stays_at(120, 0.5)
    assert {each.event_id for each in received} == {row.id for row in deliveries(engine)}


# A recorder's own dispatcher, in a process that the test kills. Its lease is short.
_DOOMED = textwrap.dedent(
    """
    import sys, time
    from datetime import timedelta
    from ipaddress import ip_network
    from services.gateway.db.session import make_engine
    from services.gateway.webhooks.addresses import AddressRules
    from services.gateway.webhooks.dispatcher import Dispatcher
    from services.gateway.webhooks.sender import Sender
    from tests.integration.gateway.hooks import SERVER_SECRET

    sender = Sender(AddressRules([ip_network("127.0.0.0/8")]))
    lease = timedelta(seconds=3)
    Dispatcher(make_engine(sys.argv[1]), SERVER_SECRET, sender, lease=lease).start()
    time.sleep(60)
    """
)


def test_what_a_killed_dispatcher_held_is_sent_again(engine: Engine, sender: Sender) -> None:
    def hang_once(handler: BaseHTTPRequestHandler, number: int) -> None:
        if number == 0:
            time.sleep(8)
        answer(204)(handler, number)

    with Listener(hang_once) as listener:
        hook = add_hook(engine, listener.url)
        canceled_scan(engine)
        url = engine.url.render_as_string(hide_password=False)
        doomed = subprocess.Popen([sys.executable, "-c", _DOOMED, url])
        try:
            [first] = listener.wait_for(1)
        finally:
            os.kill(doomed.pid, signal.SIGKILL)
            doomed.wait()
        with dispatching(engine, sender):
            second = listener.wait_for(2)[1]
            until(lambda: none_pending(engine))
    assert second.event_id == first.event_id
    assert second.body == first.body
    [row] = deliveries(engine, hook)
    # The try that was cut short is not held against the receiver.
    assert (row.state, row.attempts) == ("delivered", 1)


def test_a_dispatcher_that_comes_too_late_settles_nothing(engine: Engine, sender: Sender) -> None:
    add_hook(engine)
    canceled_scan(engine)
    with transaction(engine) as session:
        [late] = repository.claim(session, passed_over=(), limit=8, lease=timedelta(0))
    with transaction(engine) as session:
        [due] = repository.claim(session, passed_over=(), limit=8, lease=LEASE)
        assert repository.claim(session, passed_over=(), limit=8, lease=LEASE) == []
    assert due.id == late.id
    with transaction(engine) as session:
        assert not repository.settle(session, late, settlement(late, Outcome(204)))
        assert repository.settle(session, due, settlement(due, Outcome(204)))
        assert not repository.settle(session, due, settlement(due, Outcome(204)))


def test_a_scan_deleted_while_its_notice_is_out_ends_it(engine: Engine) -> None:
    add_hook(engine)
    canceled_scan(engine)
    with transaction(engine) as session:
        [due] = repository.claim(session, passed_over=(), limit=8, lease=LEASE)
    with transaction(engine) as session:
        delete_scan(session, due.scan_id)
    with transaction(engine) as session:
        assert not repository.settle(session, due, settlement(due, Outcome(204)))


def test_gone_ends_at_once_and_deletes_nothing(engine: Engine, sender: Sender) -> None:
    with Listener(answer(410)) as listener, dispatching(engine, sender):
        hook = add_hook(engine, listener.url)
        canceled_scan(engine)
        until(lambda: bool(deliveries(engine)) and none_pending(engine))
        [row] = deliveries(engine, hook)
        assert (row.state, row.attempts, row.status_code) == ("failed", 1, 410)
        listener.behave = answer(204)
        canceled_scan(engine)
        listener.wait_for(2)


def test_the_twelfth_failure_is_the_last(engine: Engine, sender: Sender) -> None:
    with Listener(answer(500)) as listener:
        add_hook(engine, listener.url)
        canceled_scan(engine)
        with transaction(engine) as session:
            session.execute(update(WebhookDelivery).values(attempts=ATTEMPTS_MAX - 2))
        with dispatching(engine, sender):
            listener.wait_for(1)
            until(lambda: deliveries(engine)[0].attempts == ATTEMPTS_MAX - 1)
            assert deliveries(engine)[0].state == "pending"
            let_time_pass(engine)
            listener.wait_for(2)
            until(lambda: none_pending(engine))
    [row] = deliveries(engine)
    assert (row.state, row.attempts, row.next_at) == ("failed", ATTEMPTS_MAX, None)


def test_a_revoked_key_is_told_nothing_more(engine: Engine, sender: Sender) -> None:
    access = AccessService(engine, SERVER_SECRET)
    key = access.create_key(KeyCreate(name="pacs", role=Role.CLINICIAN), ADMIN)
    with Listener() as listener:
        add_hook(engine, listener.url, owner=f"key:{key.id}", role=Role.CLINICIAN)
        canceled_scan(engine)
        access.revoke_key(key.id, ADMIN)
        with dispatching(engine, sender):
            until(lambda: none_pending(engine))
    assert listener.received == []
    [row] = deliveries(engine)
    assert (row.state, row.error) == ("failed", DeliveryFault.OWNER_GONE)


def test_a_secret_of_another_installation_sends_nothing(engine: Engine, sender: Sender) -> None:
    other = ServerSecret("the secret of another installation")
    with Listener() as listener:
        add_hook(engine, listener.url)
        canceled_scan(engine)
        with dispatching(engine, sender, other):
            until(lambda: none_pending(engine))
    assert listener.received == []
    assert deliveries(engine)[0].error == DeliveryFault.SECRET_LOST


def test_an_address_that_is_no_longer_allowed_is_not_called(engine: Engine) -> None:
    with Listener() as listener:
        add_hook(engine, listener.url)
        canceled_scan(engine)
        with dispatching(engine, Sender(AddressRules())):
            until(lambda: deliveries(engine)[0].attempts == 1)
    assert listener.received == []
    [row] = deliveries(engine)
    assert (row.state, row.error) == ("pending", DeliveryFault.ADDRESS_REFUSED)


def test_old_finished_deliveries_are_forgotten(engine: Engine, sender: Sender) -> None:
    add_hook(engine)
    kept, old, pending = (canceled_scan(engine) for _ in range(3))
    for scan_id, age in ((kept, 29), (old, 31)):
        with transaction(engine) as session:
            session.execute(
                update(WebhookDelivery)
                .where(col(WebhookDelivery.scan_id) == scan_id)
                .values(state="delivered", next_at=None, finished_at=now() - timedelta(days=age))
            )
    with transaction(engine) as session:
        later = now() + timedelta(hours=1)
        session.execute(
            update(WebhookDelivery)
            .where(col(WebhookDelivery.scan_id) == pending)
            .values(next_at=later, created_at=now() - timedelta(days=40))
        )
    with dispatching(engine, sender):
        until(lambda: len(deliveries(engine)) == 2)
    assert {row.scan_id for row in deliveries(engine)} == {kept, pending}


def test_waits_double_up_to_an_hour() -> None:
    for attempts in range(1, ATTEMPTS_MAX):
        longest = min(10 * 2 ** (attempts - 1), 3600)
        waits = [wait_after(attempts).total_seconds() for _ in range(200)]
        assert longest * 0.8 <= min(waits) <= max(waits) <= longest
        assert max(waits) - min(waits) > longest * 0.1


def test_a_hopeless_fault_is_not_tried_again() -> None:
    due = Due(
        id="e",
        webhook_id="w",
        scan_id="s",
        payload={},
        attempts=0,
        created_at=now(),
        leased_until=now(),
        url="https://hook.example/",
        secret=b"",
        owner=ADMIN,
        owner_lives=True,
    )
    over = {
        fault
        for fault in DeliveryFault
        if settlement(due, Outcome(fault=fault)).state is DeliveryState.FAILED
    }
    assert over == {DeliveryFault.OWNER_GONE, DeliveryFault.SECRET_LOST}
