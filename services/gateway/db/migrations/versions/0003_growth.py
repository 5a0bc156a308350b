"""indexes for what would otherwise grow with the rows

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("patient_by_name", "patient", ["name", "id"])
    op.create_index(
        "scan_with_original", "scan", ["id"], postgresql_where=sa.text("original_key IS NOT NULL")
    )
    op.create_index("audit_action", "audit", ["action", sa.text("at DESC")])
    op.create_index("audit_object_kind", "audit", ["object_kind", sa.text("at DESC")])


def downgrade() -> None:
    op.drop_index("audit_object_kind", "audit")
    op.drop_index("audit_action", "audit")
    op.drop_index("scan_with_original", "scan")
    op.drop_index("patient_by_name", "patient")
