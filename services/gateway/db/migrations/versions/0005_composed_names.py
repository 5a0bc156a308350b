"""names and record numbers in Unicode's form C, as they are taken now

Revision ID: 0005
Revises: 0004
"""

from alembic import op
from sqlalchemy import text

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# What the API takes at most: a few letters take more room in form C.
_NAMES = """
UPDATE patient SET name = normalize(name, NFC)
WHERE name IS NOT NFC NORMALIZED AND char_length(normalize(name, NFC)) <= 200
"""
# One that would become another patient's stays as it is: only a person can say who is who.
_NUMBERS = """
UPDATE patient SET medical_record_number = normalize(medical_record_number, NFC)
WHERE medical_record_number IS NOT NFC NORMALIZED
AND char_length(normalize(medical_record_number, NFC)) <= 64
AND NOT EXISTS (
    SELECT FROM patient other WHERE other.id <> patient.id
    AND normalize(other.medical_record_number, NFC)
        = normalize(patient.medical_record_number, NFC)
)
"""


def upgrade() -> None:
    # PostgreSQL knows the forms in this encoding only.
    if op.get_bind().execute(text("SHOW server_encoding")).scalar_one() == "UTF8":
        op.execute(_NAMES)
        op.execute(_NUMBERS)


def downgrade() -> None:
    """Nobody needs them as they were."""
