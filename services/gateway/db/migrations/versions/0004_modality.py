"""what kind of picture a file says that it is

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("scan", sa.Column("modality", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("scan", "modality")
