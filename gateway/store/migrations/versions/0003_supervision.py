"""Supervision of supplement requests; indexes for reports."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("dossier", sa.Column("requests", sa.Text(), server_default="", nullable=False))
    op.create_index("ix_dossier_received_at", "dossier", ["received_at"], unique=False)
    op.create_index("ix_dossier_finished_at", "dossier", ["finished_at"], unique=False)
    op.create_table(
        "supplement_violation",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("receipt_code", sa.Text(), nullable=False),
        sa.Column("agency_code", sa.Text(), nullable=False),
        sa.Column("procedure_code", sa.Text(), nullable=False),
        sa.Column("request_no", sa.Integer(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told", sa.Integer(), server_default="0", nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_supplement_violation")),
        sa.UniqueConstraint(
            "source", "receipt_code", "request_no", name=op.f("uq_supplement_violation_source_receipt_code_request_no")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_supplement_violation_at", "supplement_violation", ["at"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_supplement_violation_at", table_name="supplement_violation")
    op.drop_table("supplement_violation")
    op.drop_index("ix_dossier_finished_at", table_name="dossier")
    op.drop_index("ix_dossier_received_at", table_name="dossier")
    op.drop_column("dossier", "requests")
