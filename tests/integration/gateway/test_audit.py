"""The audit: append-only for everybody, read by administrators, one row for repeated reads."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import NullPool
from sqlmodel import Session

from neuroscan.contracts.enums import Role
from neuroscan.contracts.problems import BadCursor
from neuroscan.ids import new_id
from neuroscan.settings import DatabaseSettings
from services.gateway.audit import record as audit
from services.gateway.audit.record import Action, ObjectKind
from services.gateway.audit.repository import AuditFilter
from services.gateway.audit.service import AuditService
from services.gateway.auth.principal import Principal
from services.gateway.db.audit_partitions import drop_partitions, make_partitions
from services.gateway.db.migrate import prepare
from services.gateway.db.session import make_engine, transaction
from services.gateway.db.tables import Audit
from tests import pictures
from tests.integration.gateway.calls import new_patient, submit, wait_final

APPLICATION = "neuroscan"
READER = Principal(id="key:reader", role=Role.CLINICIAN)
CHANGES = (
    "UPDATE {table} SET principal = 'somebody else'",
    "DELETE FROM {table}",
    "TRUNCATE {table}",
)


@pytest.fixture
def application_url(database_url: str) -> str:
    """A prepared database, as the application's role reaches it."""
    url = database_url.replace("//postgres@", f"//{APPLICATION}@")
    assert url != database_url
    prepare(DatabaseSettings(database_url=url, database_owner_url=database_url))
    return url


def connect(url: str) -> "psycopg.Connection[tuple[Any, ...]]":
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


def this_months_partition() -> str:
    return f"audit_y{datetime.now(UTC):%Y_m%m}"


def add_row(connection: "psycopg.Connection[tuple[Any, ...]]") -> None:
    connection.execute(
        "INSERT INTO audit (id, at, principal, action, object_kind, fields)"
        " VALUES (%s, now(), 'key:test', 'read', 'scan', '[]')",
        (new_id(),),
    )


def test_the_application_may_only_add_and_read(application_url: str) -> None:
    with connect(application_url) as connection:
        add_row(connection)
        for table in ("audit", this_months_partition()):
            for change in CHANGES:
                with pytest.raises(InsufficientPrivilege):
                    connection.execute(change.format(table=table))
            for change in ("DROP TABLE {table}", "ALTER TABLE {table} DISABLE TRIGGER ALL"):
                with pytest.raises(InsufficientPrivilege):
                    connection.execute(change.format(table=table))
            found = connection.execute(f"SELECT principal FROM {table}").fetchall()
            assert found == [("key:test",)]
        with pytest.raises(InsufficientPrivilege):
            connection.execute("UPDATE alembic_version SET version_num = '0'")


def test_the_owner_is_refused_by_triggers(application_url: str, database_url: str) -> None:
    with connect(application_url) as connection:
        add_row(connection)
    with connect(database_url) as connection:
        for table in ("audit", this_months_partition()):
            for change in CHANGES:
                with pytest.raises(InsufficientPrivilege, match="append-only"):
                    connection.execute(change.format(table=table))
        assert connection.execute("SELECT count(*) FROM audit").fetchone() == (1,)


def test_the_application_owns_nothing(application_url: str) -> None:
    with connect(application_url) as connection:
        owned = connection.execute(
            "SELECT relname FROM pg_class WHERE relowner = (SELECT oid FROM pg_roles"
            " WHERE rolname = current_user) UNION ALL SELECT proname FROM pg_proc WHERE"
            " proowner = (SELECT oid FROM pg_roles WHERE rolname = current_user)"
        ).fetchall()
        assert owned == []
        powers = connection.execute(
            "SELECT rolsuper, rolcreatedb, rolcreaterole, rolbypassrls FROM pg_roles"
            " WHERE rolname = current_user"
        ).fetchone()
        assert powers == (False, False, False, False)
        with pytest.raises(InsufficientPrivilege):
            connection.execute("CREATE TABLE public.mine (id int)")


def test_the_application_can_do_the_rest_of_its_work(application_url: str) -> None:
    engine = make_engine(application_url)
    scan = {"kind": ObjectKind.SCAN, "object_id": new_id()}
    with transaction(engine) as session:
        audit.note(session, READER, Action.CREATED, **scan)  # type: ignore[arg-type]
        audit.note_reads(session, READER, ObjectKind.SCAN, [new_id(), new_id()])
    engine.dispose()
    with connect(application_url) as connection:
        assert connection.execute("SELECT count(*) FROM audit").fetchone() == (3,)


def test_old_months_are_dropped_whole_by_the_owner(application_url: str, database_url: str) -> None:
    owner = create_engine(database_url, poolclass=NullPool)
    today = datetime.now(UTC)
    long_ago = today - timedelta(days=200)
    with owner.begin() as connection:
        make_partitions(connection, long_ago.date())
    with Session(owner) as session:
        for at in (long_ago, today):
            session.add(Audit(at=at, principal="key:x", action="read", object_kind="scan"))
        session.commit()
    application = create_engine(application_url, poolclass=NullPool)
    with pytest.raises(Exception, match="must be owner"), application.begin() as connection:
        drop_partitions(connection, timedelta(days=60))
    with owner.begin() as connection:
        dropped = drop_partitions(connection, timedelta(days=60))
        left = connection.execute(text("SELECT at FROM audit")).scalars().all()
    assert f"audit_y{long_ago:%Y_m%m}" in dropped
    assert this_months_partition() not in dropped
    assert left == [today]
    # Those that are made later take rows from the application too.
    with connect(application_url) as connection:
        add_row(connection)


def noted(engine: Engine, count: int) -> list[str]:
    """Rows about as many scans; returns their ids, oldest first."""
    ids = [new_id() for _ in range(count)]
    for scan_id in ids:
        with transaction(engine) as session:
            audit.note(session, READER, Action.CREATED, ObjectKind.SCAN, scan_id)
    return ids


def test_the_audit_pages_newest_first_without_gaps(engine: Engine) -> None:
    ids = noted(engine, 5)
    with transaction(engine) as session:
        # Many of one moment, as a list makes them.
        many = [new_id() for _ in range(4)]
        audit.note_reads(session, READER, ObjectKind.SCAN, many)
    service, found, cursor = AuditService(engine), list[str](), None
    while True:
        page = service.list(AuditFilter(), cursor=cursor, limit=2)
        found += [str(entry.object_id) for entry in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert found[4:] == ids[::-1]
    assert sorted(found[:4]) == sorted(many)


def test_each_filter_narrows(engine: Engine) -> None:
    first, second = noted(engine, 2)
    other = Principal(id="key:other", role=Role.ADMIN)
    with transaction(engine) as session:
        audit.note(session, other, Action.CHANGED, ObjectKind.PATIENT, first, ["name"])
    service = AuditService(engine)

    def count(**filters: object) -> int:
        return len(service.list(AuditFilter(**filters), cursor=None, limit=9).items)  # type: ignore[arg-type]

    assert count() == 3
    assert count(principal="key:other") == 1
    assert count(action=Action.CREATED) == 2
    assert count(object_kind=ObjectKind.PATIENT) == 1
    assert count(object_id=first) == 2
    assert count(object_id=second, principal="key:other") == 0
    newest = service.list(AuditFilter(), cursor=None, limit=1).items[0]
    assert count(since=newest.at) == 1
    assert count(until=newest.at) == 2
    assert newest.fields == ["name"]


def test_a_cursor_of_another_filter_or_of_a_dropped_row_is_refused(engine: Engine) -> None:
    noted(engine, 2)
    service = AuditService(engine)
    page = service.list(AuditFilter(), cursor=None, limit=1)
    with pytest.raises(BadCursor):
        service.list(AuditFilter(action="read"), cursor=page.next_cursor, limit=1)
    with engine.begin() as connection:
        connection.execute(text(f"DROP TABLE {this_months_partition()}"))
    with pytest.raises(BadCursor):
        service.list(AuditFilter(), cursor=page.next_cursor, limit=1)


@pytest.fixture
def reader(api: httpx.Client) -> Iterator[httpx.Client]:
    """A client with a clinician's key of its own."""
    made = api.post("/v1/keys", json={"name": "reader", "role": "clinician"}).json()
    headers = {"Authorization": f"Bearer {made['key']}"}
    with httpx.Client(
        base_url=api.base_url, headers=headers, timeout=60, trust_env=False
    ) as client:
        yield client
    api.delete(f"/v1/keys/{made['id']}")


def entries(api: httpx.Client, **filters: str) -> list[dict[str, Any]]:
    answer = api.get("/v1/audit", params=filters)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def principal_of(reader: httpx.Client) -> str:
    key = reader.headers["Authorization"].removeprefix("Bearer ")
    return f"key:{key.split('_')[1]}"


def test_repeated_reads_are_one_row_and_known_versions_none(
    api: httpx.Client, reader: httpx.Client
) -> None:
    scan = wait_final(api, submit(api, pictures.png()).json()["id"])
    url = f"/v1/scans/{scan['id']}"
    tag, picture = api.get(url).headers["ETag"], api.get(f"{url}/slice.png").headers["ETag"]
    mine = {"principal": principal_of(reader), "object_id": scan["id"]}

    known = {"If-None-Match": tag}
    assert reader.get(url, headers=known).status_code == 304
    assert reader.get(f"{url}?wait=1", headers=known).status_code == 304
    same = {"If-None-Match": picture}
    assert reader.get(f"{url}/slice.png", headers=same).status_code == 304
    assert entries(api, **mine) == []

    for path in (url, url, f"{url}/slice.png", f"{url}/report.pdf", f"{url}?wait=1"):
        assert reader.get(path).status_code == 200
    listed = reader.get("/v1/scans", params={"limit": "200"}).json()["items"]
    assert scan["id"] in [item["id"] for item in listed]
    (row,) = entries(api, **mine)
    assert (row["action"], row["object_kind"], row["fields"]) == ("read", "scan", [])
    uuid.UUID(row["request_id"])


def test_a_refused_read_is_no_read(api: httpx.Client, reader: httpx.Client) -> None:
    since = datetime.now(UTC).isoformat()
    assert reader.get(f"/v1/scans/{uuid.uuid4()}").status_code == 404
    assert reader.get("/v1/audit").status_code == 403
    assert entries(api, principal=principal_of(reader), since=since) == []


def test_changes_of_a_patient_are_noted_by_the_names_of_fields(
    api: httpx.Client, reader: httpx.Client
) -> None:
    patient = new_patient(reader, name="Audited Person")
    url = f"/v1/patients/{patient['id']}"
    reader.patch(url, json={"name": "Renamed Person", "notes": "moved"})
    reader.get(url)
    reader.get(url)
    reader.delete(url)
    found = entries(api, object_id=patient["id"])
    assert [(row["action"], row["fields"]) for row in found] == [
        ("deleted", []),
        ("read", []),
        ("changed", ["name", "notes"]),
        ("created", []),
    ]
    assert {row["principal"] for row in found} == {principal_of(reader)}
    assert "Person" not in str(found)


def test_making_and_ending_keys_is_noted(api: httpx.Client) -> None:
    made = api.post("/v1/keys", json={"name": "noted", "role": "submitter"}).json()
    assert api.delete(f"/v1/keys/{made['id']}").status_code == 204
    assert api.delete(f"/v1/keys/{made['id']}").status_code == 404
    rows = api.get("/v1/audit", params={"object_kind": "key", "limit": 20}).json()["items"]
    ours = [row for row in rows if row["fields"] == [f"key:{made['id']}"]]
    assert [row["action"] for row in ours] == ["deleted", "created"]
    assert {row["object_id"] for row in ours} == {None}
    assert made["key"] not in str(rows)
