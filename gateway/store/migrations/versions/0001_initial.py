"""The first schema: outbox, inbox, ledger, dossiers as last seen, nodes and jobs. Long, because every table of it is here once more."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "bad_row",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("receipt_code", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("times", sa.Integer(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("source", "receipt_code", "reason", name=op.f("pk_bad_row")),
    )
    op.create_table(
        "charge_journal",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("mo_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("from_state", sa.Text(), nullable=True),
        sa.Column("to_state", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=True),
        sa.Column("amount_vnd", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_charge_journal")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_charge_journal_mo_id", "charge_journal", ["mo_id", "id"], unique=False)
    op.create_table(
        "dossier",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("receipt_code", sa.Text(), nullable=False),
        sa.Column("agency_code", sa.Text(), nullable=False),
        sa.Column("agency_name", sa.Text(), nullable=False),
        sa.Column("procedure_code", sa.Text(), nullable=False),
        sa.Column("procedure_name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("status_raw", sa.Text(), nullable=False),
        sa.Column("step_name", sa.Text(), nullable=False),
        sa.Column("at_one_stop_shop", sa.Boolean(), nullable=False),
        sa.Column("clock_stopped", sa.Boolean(), nullable=False),
        sa.Column("return_by_post", sa.Boolean(), nullable=False),
        sa.Column("phone_raw", sa.Text(), nullable=False),
        sa.Column("phone_recorded_at", sa.Date(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("extra", sa.Text(), server_default="", nullable=False),
        sa.Column("row_hash", sa.Text(), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("result_entries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("supplement_entries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("result_left_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("supplement_left_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("source", "receipt_code", name=op.f("pk_dossier")),
    )
    op.create_index("ix_dossier_agency_code", "dossier", ["agency_code"], unique=False)
    op.create_index("ix_dossier_due_on", "dossier", ["source", "due_on", "receipt_code"], unique=False)
    op.create_index("ix_dossier_receipt_code", "dossier", ["receipt_code"], unique=False)
    op.create_table(
        "job_run",
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("scheduled_for", sa.DateTime(timezone=True), nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("job", "scheduled_for", name=op.f("pk_job_run")),
    )
    op.create_table(
        "message",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("receipt_code", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("occasion", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("agency_code", sa.Text(), server_default="", nullable=False),
        sa.Column("agency_name", sa.Text(), server_default="", nullable=False),
        sa.Column("procedure_code", sa.Text(), server_default="", nullable=False),
        sa.Column("template_id", sa.Text(), nullable=False),
        sa.Column("template_version", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("coding", sa.Text(), nullable=False),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.Column("source_addr", sa.Text(), nullable=False),
        sa.Column("destination_addr", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("node", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("possible_duplicate", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("mo_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("charge_decision", sa.Text(), nullable=True),
        sa.Column("charge_link", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message")),
        sa.UniqueConstraint(
            "source", "receipt_code", "kind", "occasion", name=op.f("uq_message_source_receipt_code_kind_occasion")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_message_accepted",
        "message",
        ["state_at"],
        unique=False,
        sqlite_where=sa.text("state = 'accepted'"),
        postgresql_where=sa.text("state = 'accepted'"),
    )
    op.create_index(
        "ix_message_claim",
        "message",
        ["route", "priority", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index("ix_message_created_at", "message", ["created_at"], unique=False)
    op.create_index(
        "ix_message_doubt",
        "message",
        ["destination_addr", "state_at"],
        unique=False,
        sqlite_where=sa.text("state = 'unknown'"),
        postgresql_where=sa.text("state = 'unknown'"),
    )
    op.create_index(
        "ix_message_expiry",
        "message",
        ["expires_at"],
        unique=False,
        sqlite_where=sa.text("state IN ('held', 'queued') AND expires_at IS NOT NULL"),
        postgresql_where=sa.text("state IN ('held', 'queued') AND expires_at IS NOT NULL"),
    )
    op.create_index(
        "ix_message_held",
        "message",
        ["not_before"],
        unique=False,
        sqlite_where=sa.text("state = 'held'"),
        postgresql_where=sa.text("state = 'held'"),
    )
    op.create_index(
        "ix_message_mo_id",
        "message",
        ["mo_id"],
        unique=False,
        sqlite_where=sa.text("mo_id IS NOT NULL"),
        postgresql_where=sa.text("mo_id IS NOT NULL"),
    )
    op.create_index(
        "ix_message_sending",
        "message",
        ["node"],
        unique=False,
        sqlite_where=sa.text("state = 'sending'"),
        postgresql_where=sa.text("state = 'sending'"),
    )
    op.create_table(
        "message_part",
        sa.Column(
            "message_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("part", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("bind", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("smsc_message_id", sa.Text(), nullable=True),
        sa.Column("id_key", sa.Text(), nullable=True),
        sa.Column("command_status", sa.BigInteger(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("final_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("receipt_stat", sa.Text(), nullable=True),
        sa.Column("receipt_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("message_id", "part", name=op.f("pk_message_part")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_message_part_id_key", "message_part", ["route", "id_key"], unique=False)
    op.create_table(
        "mo",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("dedupe_key", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("bind", sa.Text(), nullable=False),
        sa.Column("smsc_message_id", sa.Text(), server_default="", nullable=False),
        sa.Column("source_addr", sa.Text(), nullable=False),
        sa.Column("destination_addr", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("octets", sa.LargeBinary(), nullable=False),
        sa.Column("data_coding", sa.Integer(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("repeats", sa.Integer(), server_default="0", nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("service", sa.Text(), nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("reply_kind", sa.Text(), nullable=True),
        sa.Column("found_in", sa.Text(), nullable=True),
        sa.Column("lookup_ms", sa.Integer(), nullable=True),
        sa.Column("replied_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mo")),
        sa.UniqueConstraint("dedupe_key", name=op.f("uq_mo_dedupe_key")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_mo_open",
        "mo",
        ["received_at"],
        unique=False,
        sqlite_where=sa.text("state = 'received'"),
        postgresql_where=sa.text("state = 'received'"),
    )
    op.create_index("ix_mo_received_at", "mo", ["received_at"], unique=False)
    op.create_index("ix_mo_source_addr", "mo", ["source_addr", "received_at"], unique=False)
    op.create_table(
        "mo_part",
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("source_addr", sa.Text(), nullable=False),
        sa.Column("destination_addr", sa.Text(), nullable=False),
        sa.Column("reference", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("total", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("part", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("bind", sa.Text(), nullable=False),
        sa.Column("octets", sa.LargeBinary(), nullable=False),
        sa.Column("data_coding", sa.Integer(), nullable=False),
        sa.Column("smsc_message_id", sa.Text(), server_default="", nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("mo_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.PrimaryKeyConstraint(
            "route", "source_addr", "destination_addr", "reference", "total", "part", name=op.f("pk_mo_part")
        ),
    )
    op.create_index("ix_mo_part_received_at", "mo_part", ["received_at"], unique=False)
    op.create_table(
        "node",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("incarnation", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("alive_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_node")),
    )
    op.create_table(
        "part_key",
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("id_key", sa.Text(), nullable=False),
        sa.Column(
            "message_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("part", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("route", "id_key", "message_id", "part", name=op.f("pk_part_key")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_part_key_message_id", "part_key", ["message_id"], unique=False)
    op.create_table(
        "portability",
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("learned_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_portability")),
    )
    op.create_table(
        "source_cursor",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("receipt_code", sa.Text(), nullable=True),
        sa.Column("announce_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_success_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), server_default="", nullable=False),
        sa.Column("node", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_source_cursor")),
    )
    op.create_table(
        "state_conflict",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("receipt_code", sa.Text(), nullable=False),
        sa.Column("agency_code", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("message_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_state_conflict")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_state_conflict_at", "state_conflict", ["at"], unique=False)
    op.create_table(
        "waiting_receipt",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("bind", sa.Text(), nullable=False),
        sa.Column("smsc_message_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=True),
        sa.Column("stat", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("destination_addr", sa.Text(), nullable=False),
        sa.Column("user_message_reference", sa.Integer(), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Text(), server_default="waiting", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_waiting_receipt")),
        sa.UniqueConstraint(
            "route",
            "smsc_message_id",
            "stat",
            "destination_addr",
            name=op.f("uq_waiting_receipt_route_smsc_message_id_stat_destination_addr"),
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_waiting_receipt_destination",
        "waiting_receipt",
        ["destination_addr"],
        unique=False,
        sqlite_where=sa.text("status = 'waiting'"),
        postgresql_where=sa.text("status = 'waiting'"),
    )
    op.create_index("ix_waiting_receipt_received_at", "waiting_receipt", ["received_at"], unique=False)
    op.create_index(
        "ix_waiting_receipt_waiting",
        "waiting_receipt",
        ["received_at"],
        unique=False,
        sqlite_where=sa.text("status = 'waiting'"),
        postgresql_where=sa.text("status = 'waiting'"),
    )
    op.create_table(
        "waiting_receipt_key",
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("id_key", sa.Text(), nullable=False),
        sa.Column(
            "receipt_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("route", "id_key", "receipt_id", name=op.f("pk_waiting_receipt_key")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_waiting_receipt_key_receipt_id", "waiting_receipt_key", ["receipt_id"], unique=False)
    op.create_table(
        "charge",
        sa.Column("mo_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("amount_vnd", sa.BigInteger(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("link", sa.Text(), nullable=True),
        sa.Column("outcome_raw", sa.Text(), nullable=True),
        sa.Column("lapses_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["mo_id"], ["mo.id"], name=op.f("fk_charge_mo_id")),
        sa.PrimaryKeyConstraint("mo_id", name=op.f("pk_charge")),
    )
    op.create_index("ix_charge_created_at", "charge", ["created_at"], unique=False)
    op.create_index("ix_charge_state", "charge", ["state", "state_at"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_charge_state", table_name="charge")
    op.drop_index("ix_charge_created_at", table_name="charge")
    op.drop_table("charge")
    op.drop_index("ix_waiting_receipt_key_receipt_id", table_name="waiting_receipt_key")
    op.drop_table("waiting_receipt_key")
    op.drop_index(
        "ix_waiting_receipt_waiting",
        table_name="waiting_receipt",
        sqlite_where=sa.text("status = 'waiting'"),
        postgresql_where=sa.text("status = 'waiting'"),
    )
    op.drop_index("ix_waiting_receipt_received_at", table_name="waiting_receipt")
    op.drop_index(
        "ix_waiting_receipt_destination",
        table_name="waiting_receipt",
        sqlite_where=sa.text("status = 'waiting'"),
        postgresql_where=sa.text("status = 'waiting'"),
    )
    op.drop_table("waiting_receipt")
    op.drop_index("ix_state_conflict_at", table_name="state_conflict")
    op.drop_table("state_conflict")
    op.drop_table("source_cursor")
    op.drop_table("portability")
    op.drop_index("ix_part_key_message_id", table_name="part_key")
    op.drop_table("part_key")
    op.drop_table("node")
    op.drop_index("ix_mo_part_received_at", table_name="mo_part")
    op.drop_table("mo_part")
    op.drop_index("ix_mo_source_addr", table_name="mo")
    op.drop_index("ix_mo_received_at", table_name="mo")
    op.drop_index(
        "ix_mo_open",
        table_name="mo",
        sqlite_where=sa.text("state = 'received'"),
        postgresql_where=sa.text("state = 'received'"),
    )
    op.drop_table("mo")
    op.drop_index("ix_message_part_id_key", table_name="message_part")
    op.drop_table("message_part")
    op.drop_index(
        "ix_message_sending",
        table_name="message",
        sqlite_where=sa.text("state = 'sending'"),
        postgresql_where=sa.text("state = 'sending'"),
    )
    op.drop_index(
        "ix_message_mo_id",
        table_name="message",
        sqlite_where=sa.text("mo_id IS NOT NULL"),
        postgresql_where=sa.text("mo_id IS NOT NULL"),
    )
    op.drop_index(
        "ix_message_held",
        table_name="message",
        sqlite_where=sa.text("state = 'held'"),
        postgresql_where=sa.text("state = 'held'"),
    )
    op.drop_index(
        "ix_message_expiry",
        table_name="message",
        sqlite_where=sa.text("state IN ('held', 'queued') AND expires_at IS NOT NULL"),
        postgresql_where=sa.text("state IN ('held', 'queued') AND expires_at IS NOT NULL"),
    )
    op.drop_index(
        "ix_message_doubt",
        table_name="message",
        sqlite_where=sa.text("state = 'unknown'"),
        postgresql_where=sa.text("state = 'unknown'"),
    )
    op.drop_index("ix_message_created_at", table_name="message")
    op.drop_index(
        "ix_message_claim",
        table_name="message",
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.drop_index(
        "ix_message_accepted",
        table_name="message",
        sqlite_where=sa.text("state = 'accepted'"),
        postgresql_where=sa.text("state = 'accepted'"),
    )
    op.drop_table("message")
    op.drop_table("job_run")
    op.drop_index("ix_dossier_receipt_code", table_name="dossier")
    op.drop_index("ix_dossier_due_on", table_name="dossier")
    op.drop_index("ix_dossier_agency_code", table_name="dossier")
    op.drop_table("dossier")
    op.drop_index("ix_charge_journal_mo_id", table_name="charge_journal")
    op.drop_table("charge_journal")
    op.drop_table("bad_row")
