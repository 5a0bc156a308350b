"""Fills a running stack's database with copies of one real, completed scan."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import psycopg

PATIENTS = 50
# Half each: filling is bound by one core a connection.
_AT_ONCE = 2
_PATIENTS = """
INSERT INTO patient (id, medical_record_number, name, sex, notes, created_at, updated_at)
SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'LOAD ' || n,
    'Person ' || n, 'unknown', '', now(), now() FROM generate_series(0, %(patients)s - 1) AS n
ON CONFLICT DO NOTHING
"""
# Of every copy: its own id, an owner of fifty, a patient, a moment of its own in the years before
# the real scan, with which its id begins; the stages' times are moved with it. A copy has the
# first and the last of the real scan's events, and the audit of its creation.
_FILL = """
CREATE TEMPORARY TABLE pattern AS SELECT * FROM scan WHERE id = %(scan)s;
CREATE TEMPORARY TABLE pattern_stage AS SELECT * FROM stage WHERE scan_id = %(scan)s;
CREATE TEMPORARY TABLE pattern_event AS SELECT * FROM scan_event WHERE sequence IN (
    SELECT unnest(ARRAY[min(sequence), max(sequence)]) FROM scan_event WHERE scan_id = %(scan)s);
CREATE TEMPORARY TABLE copy AS
SELECT n, back, (substr(hex, 1, 8) || '-' || substr(hex, 9, 4) || '-7000-8000-'
    || lpad(to_hex(n), 12, '0'))::uuid AS id
FROM (SELECT n, back,
        lpad(to_hex((extract(epoch FROM p.created_at - back) * 1000)::bigint), 12, '0') AS hex
    FROM pattern AS p, generate_series(%(first)s::int, %(last)s::int) AS n,
        LATERAL (SELECT make_interval(years => 3) - make_interval(mins => n) AS back) AS moved
    ) AS moments;
INSERT INTO scan (id, owner, version, state, reference, patient_id, created_at, updated_at,
    request_id, image_format, width, height, sha256, original_key, original_media_type, geometry,
    label)
SELECT copy.id, 'key:load' || copy.n %% 50, p.version, p.state, 'load ' || copy.n,
    ('00000000-0000-7000-8000-' || lpad(to_hex(copy.n %% %(patients)s), 12, '0'))::uuid,
    p.created_at - copy.back, p.updated_at - copy.back, p.request_id,
    p.image_format, p.width, p.height, md5(copy.n::text), p.original_key, p.original_media_type,
    p.geometry, p.label
FROM copy, pattern AS p ORDER BY copy.n;
INSERT INTO stage (scan_id, track, name, state, attempt, available_at, published_at, started_at,
    finished_at, input_digest, code_version, model_version, prefix, output)
SELECT copy.id, s.track, s.name, s.state, s.attempt, s.available_at - copy.back,
    s.published_at - copy.back, s.started_at - copy.back, s.finished_at - copy.back,
    s.input_digest, s.code_version, s.model_version, s.prefix, s.output
FROM copy, pattern_stage AS s ORDER BY copy.n;
INSERT INTO scan_event (scan_id, at, version, state, track, stage, stage_state)
SELECT copy.id, e.at - copy.back, e.version, e.state, e.track, e.stage, e.stage_state
FROM copy, pattern_event AS e ORDER BY copy.n, e.sequence;
INSERT INTO audit (id, at, principal, action, object_kind, object_id, fields, request_id)
SELECT copy.id, now() + make_interval(secs => 0.0001) * copy.n, 'key:load' || copy.n %% 50,
    'created', 'scan', copy.id, '[]', NULL FROM copy ORDER BY copy.n
"""


def fill(
    database_url: str, scan_id: str, scans: int, *, above: int = 0, patients: int = PATIENTS
) -> None:
    """Store copies of a scan, spread over patients, and let the planner know of them.

    `database_url` is the owner's, as SQLAlchemy takes it. `above` copies are there already.
    """
    url = database_url.replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        # Checkpoints in the middle would write every page twice.
        connection.execute("ALTER SYSTEM SET max_wal_size = '8GB'")
        connection.execute("SELECT pg_reload_conf()")
        connection.execute(_PATIENTS, {"patients": patients})
    middle = (above + scans) // 2
    parts = [(above + 1, middle), (middle + 1, scans)]
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        list(threads.map(partial(_fill, url, scan_id, patients), parts))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def _fill(url: str, scan_id: str, patients: int, part: tuple[int, int]) -> None:
    values = {"scan": scan_id, "patients": patients, "first": part[0], "last": part[1]}
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in _FILL.split(";\n"):
            connection.execute(statement, values)


def patient_id(number: int) -> str:
    """One of the patients that `fill` makes, whatever their number."""
    return f"00000000-0000-7000-8000-{number % PATIENTS:012x}"
