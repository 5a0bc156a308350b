"""Fills a running stack's database with copies of one real, completed scan."""

import psycopg

PATIENTS = 50
# Of every copy: its own id, an owner of fifty, a patient of fifty, a moment of its own.
_FILL = """
CREATE TEMPORARY TABLE pattern AS SELECT * FROM scan WHERE id = %(scan)s;
CREATE TEMPORARY TABLE pattern_stage AS SELECT * FROM stage WHERE scan_id = %(scan)s;
INSERT INTO patient (id, medical_record_number, name, sex, notes, created_at, updated_at)
SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'LOAD ' || n,
    'Person ' || n, 'unknown', '', now(), now() FROM generate_series(0, %(patients)s - 1) AS n;
CREATE TEMPORARY TABLE copy AS
SELECT n, ('01890000-' || lpad(to_hex(n / 65536), 4, '0') || '-7000-8000-'
    || lpad(to_hex(n), 12, '0'))::uuid AS id FROM generate_series(1, %(scans)s) AS n;
INSERT INTO scan (id, owner, version, state, reference, patient_id, created_at, updated_at,
    request_id, image_format, width, height, sha256, original_key, original_media_type, geometry,
    label)
SELECT copy.id, 'key:load' || copy.n %% 50, p.version, p.state, 'load ' || copy.n,
    ('00000000-0000-7000-8000-' || lpad(to_hex(copy.n %% %(patients)s), 12, '0'))::uuid,
    p.created_at - make_interval(mins => %(scans)s - copy.n), p.updated_at, p.request_id,
    p.image_format, p.width, p.height, md5(copy.n::text), p.original_key, p.original_media_type,
    p.geometry, p.label
FROM copy, pattern AS p ORDER BY copy.n;
INSERT INTO stage (scan_id, track, name, state, attempt, available_at, published_at, started_at,
    finished_at, input_digest, code_version, model_version, prefix, output)
SELECT copy.id, s.track, s.name, s.state, s.attempt, s.available_at, s.published_at, s.started_at,
    s.finished_at, s.input_digest, s.code_version, s.model_version, s.prefix, s.output
FROM copy, pattern_stage AS s ORDER BY copy.n
"""


def fill(database_url: str, scan_id: str, scans: int) -> None:
    """Store copies of a scan, spread over fifty patients, and let the planner know of them.

    `database_url` is the owner's, as SQLAlchemy takes it.
    """
    values = {"scan": scan_id, "scans": scans, "patients": PATIENTS}
    with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as connection:
        for statement in _FILL.split(";\n"):
            connection.execute(statement, values)
        connection.execute("VACUUM ANALYZE")


def patient_id(number: int) -> str:
    """One of the patients that `fill` makes."""
    return f"00000000-0000-7000-8000-{number % PATIENTS:012x}"
