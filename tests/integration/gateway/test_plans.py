"""Lists stay flat as rows grow: every one reads by an index at 100,000 scans."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, event, text
from sqlmodel import Session

from neuroscan.contracts.enums import Role
from neuroscan.settings import GatewaySettings
from services.gateway.audit.repository import AuditFilter, list_entries
from services.gateway.auth.principal import Principal
from services.gateway.batches import repository as batches
from services.gateway.db.session import make_engine
from services.gateway.db.tables import now
from services.gateway.limits.repository import single_waits_since
from services.gateway.maintenance.repository import originals_before
from services.gateway.patients import repository as patients
from services.gateway.pipeline.sweeper import Sweeper
from services.gateway.scans import repository as scans
from services.gateway.scans.repository import Place, ScanFilter
from tests.conftest import fresh_database

SCANS = 100_000
CLINICIAN = Principal("key:clinician", Role.CLINICIAN)
SUBMITTER = Principal("key:7", Role.SUBMITTER)
PATIENT = "00000000-0000-7000-8000-000000000007"
MIDDLE = Place(now(), "01998c1e-0000-7000-8000-000000004e20")
BATCH = "00000000-0000-7000-9000-000000000007"

_FILL = f"""
INSERT INTO patient (id, medical_record_number, name, sex, notes, created_at, updated_at)
SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'MRN ' || n,
    'Person ' || n, 'unknown', '', now(), now() FROM generate_series(0, 1999) AS n;
INSERT INTO batch (id, owner, created_at)
SELECT ('00000000-0000-7000-9000-' || lpad(to_hex(n), 12, '0'))::uuid, 'key:' || n % 50, now()
FROM generate_series(0, 999) AS n;
INSERT INTO scan (id, owner, version, state, reference, patient_id, batch_id, created_at,
    updated_at, request_id, image_format, width, height, sha256, original_key,
    original_media_type, geometry, label)
SELECT ('01998c1e-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'key:' || n % 50, 9,
    CASE WHEN n % 500 = 0 THEN 'failed' ELSE 'completed' END, 'case ' || n % 5000,
    ('00000000-0000-7000-8000-' || lpad(to_hex(n % 2000), 12, '0'))::uuid,
    ('00000000-0000-7000-9000-' || lpad(to_hex(n % 1000), 12, '0'))::uuid,
    now(), now(), 'r', 'png', 64, 64, md5(n::text), '', 'image/png', '{{}}',
    (ARRAY['glioma', 'meningioma', 'no_tumor', 'pituitary'])[n % 4 + 1]
FROM generate_series(0, {SCANS - 1}) AS n;
UPDATE scan SET original_key = NULL WHERE id < '01998c1e-0000-7000-8000-000000018000';
INSERT INTO stage (scan_id, track, name, state, attempt, available_at, input_digest, started_at,
    finished_at)
SELECT id, '', name, CASE WHEN state = 'failed' THEN state ELSE 'done' END, 1, now(), '',
    now() - make_interval(hours => 1), now()
FROM scan, unnest(ARRAY['classify', 'explain', 'measure', 'report']) AS name;
INSERT INTO audit (id, at, principal, action, object_kind, object_id, fields)
SELECT id, now() + make_interval(secs => 0.0001) * row_number() OVER (ORDER BY id), owner, 'read',
    'scan', id, '[]' FROM scan;
"""


@pytest.fixture(scope="module")
def full(server_url: str) -> Iterator[Engine]:
    """A database with a hundred thousand scans."""
    with fresh_database(server_url) as url:
        engine = make_engine(url)
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(_FILL)
            connection.execute("VACUUM ANALYZE")
        yield engine
        engine.dispose()


def plans(engine: Engine, read: Callable[[Session], object], how: str = "") -> list[str]:
    """The plan of every query that `read` makes, run for real; `how` are EXPLAIN's options."""
    found: list[str] = []

    def explain(connection: Any, _: Any, statement: str, parameters: Any, *__: Any) -> None:
        if statement.lstrip().upper().startswith("SELECT"):
            with connection.connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN {how}{statement}", parameters)
                rows = [row[0] for row in cursor.fetchall()]
                found.append("\n".join(rows) if not how else json.dumps(rows[0]))

    event.listen(engine, "before_cursor_execute", explain)
    try:
        with Session(engine) as session:
            read(session)
    finally:
        event.remove(engine, "before_cursor_execute", explain)
    assert found
    return found


def listed(filters: ScanFilter, by: Principal = CLINICIAN) -> Callable[[Session], object]:
    return lambda session: scans.list_scans(session, filters, by, after_id=None, limit=51)


def history(after: Place | None) -> Callable[[Session], object]:
    return lambda session: scans.history_of(session, PATIENT, after=after, limit=51)


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(listed(ScanFilter()), id="plain"),
        pytest.param(listed(ScanFilter(state="failed")), id="by state"),
        pytest.param(listed(ScanFilter(label="glioma")), id="by label"),
        pytest.param(listed(ScanFilter(reference="case 7")), id="by reference"),
        pytest.param(listed(ScanFilter(patient_id=PATIENT)), id="by patient"),
        pytest.param(history(None), id="history"),
        pytest.param(history(MIDDLE), id="a page in the middle of a history"),
        pytest.param(listed(ScanFilter(), SUBMITTER), id="a submitter's own"),
        pytest.param(
            lambda session: scans.list_scans(
                session,
                ScanFilter(),
                CLINICIAN,
                after_id="01998c1e-0000-7000-8000-000000004e20",
                limit=51,
            ),
            id="a page in the middle",
        ),
        pytest.param(lambda session: patients.trend_scans(session, PATIENT, 500), id="trend"),
        pytest.param(lambda session: batches.items_of(session, BATCH), id="a batch"),
        pytest.param(lambda session: batches.version_of(session, BATCH), id="a batch's version"),
        pytest.param(
            lambda session: scans.first_of_picture(session, PATIENT, "0" * 32), id="same picture"
        ),
        pytest.param(lambda session: single_waits_since(session, now()), id="backlog"),
    ],
)
def test_reads_by_an_index(full: Engine, read: Callable[[Session], object]) -> None:
    for plan in plans(full, read):
        assert "Seq Scan on scan" not in plan, plan
        assert "Seq Scan on stage" not in plan, plan
        # A sort of everything that matches would grow with the rows.
        assert "Seq Scan on batch_item" not in plan or "rows=1 " in plan, plan


def looked_at(plan: str) -> int:
    """The rows that a query's scans gave or threw away."""
    nodes = [json.loads(plan)[0]["Plan"]]
    count = 0
    while nodes:
        node = nodes.pop()
        nodes += node.get("Plans", [])
        if node["Node Type"].endswith("Scan"):
            seen = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            seen += node.get("Rows Removed by Index Recheck", 0)
            count += int(seen * node["Actual Loops"])
    return count


def audited(filters: AuditFilter) -> Callable[[Session], object]:
    return lambda session: list_entries(session, filters, after=None, limit=50)


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(audited(AuditFilter()), id="audit"),
        pytest.param(audited(AuditFilter(action="exported")), id="audit by a rare action"),
        pytest.param(audited(AuditFilter(object_kind="webhook")), id="audit by a rare kind"),
        pytest.param(audited(AuditFilter(principal="key:none")), id="audit by a principal"),
        pytest.param(
            lambda session: patients.search(session, "Person", 50), id="a part that all names have"
        ),
        pytest.param(lambda session: patients.search(session, "on", 50), id="two letters"),
        pytest.param(
            lambda session: originals_before(session, "01998c1e-0000-7000-8000-0000000180ff", 100),
            id="originals to remove",
        ),
    ],
)
def test_looks_at_few_rows(full: Engine, read: Callable[[Session], object]) -> None:
    """Not only by an index, but by one that holds what is asked for."""
    for plan in plans(full, read, how="(ANALYZE, TIMING OFF, FORMAT JSON) "):
        assert looked_at(plan) <= 300, plan


def test_the_sweeper_looks_for_each_stage_by_its_name(full: Engine) -> None:
    """PostgreSQL before 18 reads the whole index when a condition leaves its first column out."""
    nobody: Any = None
    settings = GatewaySettings.model_construct(queue_stalled_after=timedelta(minutes=1))
    sweeper = Sweeper(full, nobody, nobody, settings)
    (plan,) = plans(full, sweeper._started_lately)
    (condition,) = [
        line for line in plan.splitlines() if "Index Cond" in line and "started" in line
    ]
    assert "name" in condition, plan


def test_what_deletions_look_for_has_an_index(full: Engine) -> None:
    """Every foreign key that a deletion of a scan, patient or batch follows leads by an index."""
    unindexed = text(
        """
        SELECT c.conrelid::regclass::text, a.attname FROM pg_constraint c
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
        WHERE c.contype = 'f' AND c.confrelid IN
            ('scan'::regclass, 'patient'::regclass, 'batch'::regclass)
        AND NOT EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.conrelid
            AND i.indkey[0] = c.conkey[1])
        """
    )
    with full.connect() as connection:
        assert connection.execute(unindexed).all() == []
