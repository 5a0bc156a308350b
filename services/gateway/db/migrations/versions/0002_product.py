"""access, batches, further work on a scan, reviews, webhooks, audit

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from services.gateway.db.audit_partitions import make_partitions

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.Uuid(as_uuid=False)
TIME = sa.DateTime(timezone=True)
JSON = postgresql.JSONB(astext_type=sa.Text())
# The only caller that there was before keys.
FIRST_OWNER = "key:local"


def upgrade() -> None:
    _access()
    _search()
    _batches()
    _scans()
    _stages()
    _further_work()
    _idempotency()
    _webhooks()
    _audit()
    _notices()


def _access() -> None:
    op.create_table(
        "api_key",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("secret_mac", sa.String(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME),
        sa.Column("last_used_at", TIME),
        sa.Column("revoked_at", TIME),
    )
    op.create_table(
        "browser_session",
        sa.Column("token_mac", sa.String(), primary_key=True),
        sa.Column("principal", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), sa.ForeignKey("api_key.id", ondelete="CASCADE")),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False, index=True),
    )
    op.create_table(
        "link_code",
        sa.Column("code_mac", sa.String(), primary_key=True),
        sa.Column(
            "key_id", sa.String(), sa.ForeignKey("api_key.id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("expires_at", TIME, nullable=False, index=True),
    )


def _search() -> None:
    # Comes with PostgreSQL; a database's owner may turn it on.
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    for index, column in (
        ("patient_name_parts", "name"),
        ("patient_number_parts", "medical_record_number"),
    ):
        op.create_index(
            index,
            "patient",
            [column],
            postgresql_using="gin",
            postgresql_ops={column: "gin_trgm_ops"},
        )


def _batches() -> None:
    op.create_table(
        "batch",
        sa.Column("id", ID, primary_key=True),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("patient_id", ID, sa.ForeignKey("patient.id", ondelete="CASCADE"), index=True),
        sa.Column("created_at", TIME, nullable=False),
    )
    op.create_index("batch_owner_newest", "batch", ["owner", sa.text("id DESC")])
    op.create_table(
        "batch_item",
        sa.Column("batch_id", ID, sa.ForeignKey("batch.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("position", sa.Integer(), primary_key=True),
        sa.Column("upload", sa.String(), nullable=False),
        sa.Column("upload_index", sa.Integer(), nullable=False),
        sa.Column("file", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("scan_id", ID, sa.ForeignKey("scan.id", ondelete="CASCADE"), index=True),
        sa.Column("problem", JSON),
        sa.UniqueConstraint("batch_id", "upload", "upload_index"),
    )


def _scans() -> None:
    op.add_column("scan", sa.Column("owner", sa.String(), nullable=False, server_default=FIRST_OWNER))
    op.alter_column("scan", "owner", server_default=None)
    op.add_column("scan", sa.Column("batch_id", ID, sa.ForeignKey("batch.id", ondelete="SET NULL")))
    op.add_column(
        "scan", sa.Column("duplicate_of", ID, sa.ForeignKey("scan.id", ondelete="SET NULL"))
    )
    op.alter_column("scan", "original_key", nullable=True)
    op.create_index("scan_owner_newest", "scan", ["owner", sa.text("id DESC")])
    op.create_index("scan_batch", "scan", ["batch_id"])
    op.create_index("scan_patient_picture", "scan", ["patient_id", "sha256"])
    op.create_index(
        "scan_patient_acquired",
        "scan",
        ["patient_id", sa.text("coalesce(acquired_at, created_at) DESC")],
    )
    # A deletion clears the mark on the scans that pointed to the deleted one.
    op.create_index("scan_duplicate_of", "scan", ["duplicate_of"])


def _stages() -> None:
    op.add_column("stage", sa.Column("track", sa.String(), nullable=False, server_default=""))
    op.alter_column("stage", "track", server_default=None)
    op.drop_constraint("stage_pkey", "stage")
    op.create_primary_key("stage_pkey", "stage", ["scan_id", "track", "name"])
    op.add_column("scan_event", sa.Column("track", sa.String(), nullable=False, server_default=""))
    op.alter_column("scan_event", "track", server_default=None)
    op.create_index(
        "stage_waiting", "stage", ["available_at"], postgresql_where=sa.text("state = 'queued'")
    )
    op.create_index(
        "stage_dead", "stage", ["finished_at"], postgresql_where=sa.text("state = 'failed'")
    )


def _further_work() -> None:
    op.create_table(
        "explanation",
        sa.Column("id", ID, primary_key=True),
        sa.Column("scan_id", ID, sa.ForeignKey("scan.id", ondelete="CASCADE"), nullable=False),
        sa.Column("method", sa.String()),
        sa.Column("layer", sa.String()),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
    )
    op.create_index("explanation_scan", "explanation", ["scan_id", sa.text("id DESC")])
    op.create_table(
        "analysis",
        sa.Column("id", ID, primary_key=True),
        sa.Column("scan_id", ID, sa.ForeignKey("scan.id", ondelete="CASCADE"), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
    )
    op.create_index("analysis_scan", "analysis", ["scan_id", sa.text("id DESC")])
    op.create_table(
        "review",
        sa.Column("id", ID, primary_key=True),
        sa.Column("scan_id", ID, sa.ForeignKey("scan.id", ondelete="CASCADE"), nullable=False),
        sa.Column("principal", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("agrees", sa.Boolean(), nullable=False),
        sa.Column("comment", sa.String(), nullable=False),
        sa.Column("predicted", sa.String(), nullable=False),
        sa.Column("model_sha256", sa.String(), nullable=False),
        sa.Column("at", TIME, nullable=False),
    )
    op.create_index("review_scan_newest", "review", ["scan_id", sa.text("id DESC")])
    op.create_index("review_at", "review", ["at"])


def _idempotency() -> None:
    op.add_column(
        "idempotency_key",
        sa.Column("bound", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.execute("UPDATE idempotency_key SET bound = scan_id IS NOT NULL")
    op.alter_column("idempotency_key", "bound", server_default=None)
    op.add_column(
        "idempotency_key",
        sa.Column("batch_id", ID, sa.ForeignKey("batch.id", ondelete="CASCADE")),
    )
    op.add_column(
        "idempotency_key",
        sa.Column("patient_id", ID, sa.ForeignKey("patient.id", ondelete="CASCADE")),
    )
    op.add_column("idempotency_key", sa.Column("response", sa.LargeBinary()))
    # A deletion looks for the keys of what is deleted.
    for column in ("scan_id", "batch_id", "patient_id"):
        op.create_index(f"ix_idempotency_key_{column}", "idempotency_key", [column])


def _webhooks() -> None:
    op.create_table(
        "webhook",
        sa.Column("id", ID, primary_key=True),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("states", JSON, nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
    )
    op.create_table(
        "webhook_delivery",
        sa.Column("id", ID, primary_key=True),
        sa.Column(
            "webhook_id", ID, sa.ForeignKey("webhook.id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("scan_id", ID, sa.ForeignKey("scan.id", ondelete="CASCADE"), nullable=False),
        sa.Column("payload", JSON, nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", TIME),
        sa.Column("status_code", sa.Integer()),
        sa.Column("error", sa.String()),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("finished_at", TIME),
    )
    op.create_index(
        "webhook_delivery_due",
        "webhook_delivery",
        ["webhook_id", "next_at"],
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "webhook_delivery_newest", "webhook_delivery", ["webhook_id", sa.text("id DESC")]
    )
    # One scan's notices are told in order, and go with it.
    op.create_index("webhook_delivery_scan", "webhook_delivery", ["scan_id"])
    op.create_index(
        "webhook_delivery_finished",
        "webhook_delivery",
        ["finished_at"],
        postgresql_where=sa.text("finished_at IS NOT NULL"),
    )


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", ID, primary_key=True),
        sa.Column("at", TIME, primary_key=True),
        sa.Column("principal", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("object_kind", sa.String(), nullable=False),
        sa.Column("object_id", ID),
        sa.Column("fields", JSON, nullable=False),
        sa.Column("request_id", sa.String()),
        postgresql_partition_by="RANGE (at)",
    )
    op.create_index("audit_object", "audit", ["object_id", "principal", "at"])
    op.create_index("audit_newest", "audit", [sa.text("at DESC")])
    op.create_index("audit_principal", "audit", ["principal", sa.text("at DESC")])
    op.execute(
        """
        CREATE FUNCTION audit_keeps() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'the audit is append-only' USING ERRCODE = 'insufficient_privilege';
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER audit_keeps_rows BEFORE UPDATE OR DELETE ON audit"
        " FOR EACH ROW EXECUTE FUNCTION audit_keeps()"
    )
    op.execute(
        "CREATE TRIGGER audit_keeps_all BEFORE TRUNCATE ON audit"
        " FOR EACH STATEMENT EXECUTE FUNCTION audit_keeps()"
    )
    make_partitions(op.get_bind())


def _notices() -> None:
    """Wake those who wait for a change: the payload is the scan's id and, if any, its batch's."""
    op.execute(
        """
        CREATE FUNCTION scan_event_notice() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_notify('neuroscan', concat_ws(' ', NEW.scan_id,
                (SELECT batch_id FROM scan WHERE id = NEW.scan_id)));
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER scan_event_notice AFTER INSERT ON scan_event"
        " FOR EACH ROW EXECUTE FUNCTION scan_event_notice()"
    )
    op.execute(
        """
        CREATE FUNCTION scan_gone_notice() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_notify('neuroscan', concat_ws(' ', OLD.id, OLD.batch_id));
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER scan_gone_notice AFTER DELETE ON scan"
        " FOR EACH ROW EXECUTE FUNCTION scan_gone_notice()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER scan_gone_notice ON scan")
    op.execute("DROP TRIGGER scan_event_notice ON scan_event")
    op.execute("DROP FUNCTION scan_gone_notice, scan_event_notice")
    op.drop_table("audit")
    op.execute("DROP FUNCTION audit_keeps")
    for table in ("webhook_delivery", "webhook", "review", "analysis", "explanation"):
        op.drop_table(table)
    for column in ("bound", "batch_id", "patient_id", "response"):
        op.drop_column("idempotency_key", column)
    op.drop_index("ix_idempotency_key_scan_id", table_name="idempotency_key")
    op.execute("DELETE FROM stage WHERE track <> ''")
    op.drop_index("stage_dead", table_name="stage")
    op.execute("DELETE FROM scan_event WHERE track <> ''")
    op.drop_column("scan_event", "track")
    op.drop_index("stage_waiting", table_name="stage")
    op.drop_column("stage", "track")
    op.create_primary_key("stage_pkey", "stage", ["scan_id", "name"])
    for index in (
        "scan_owner_newest",
        "scan_batch",
        "scan_patient_picture",
        "scan_patient_acquired",
        "scan_duplicate_of",
    ):
        op.drop_index(index, table_name="scan")
    op.execute("UPDATE scan SET original_key = '' WHERE original_key IS NULL")
    op.alter_column("scan", "original_key", nullable=False)
    for column in ("owner", "batch_id", "duplicate_of"):
        op.drop_column("scan", column)
    for index in ("patient_name_parts", "patient_number_parts"):
        op.drop_index(index, table_name="patient")
    for table in ("batch_item", "batch", "link_code", "browser_session", "api_key"):
        op.drop_table(table)
