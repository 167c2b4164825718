"""The outbox's keys in a table of their own; on PostgreSQL the outbox in monthly partitions.

PostgreSQL: the old table is not copied, it becomes the partition of all ids up to now. SQLite: its table is written anew,
because SQLite cannot take a unique constraint from one.
"""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

#: Index of table message: its columns, its condition. As in 0001.
INDEXES = {
    "ix_message_accepted": (["state_at"], "state = 'accepted'"),
    "ix_message_claim": (["route", "priority", "id"], "state = 'queued'"),
    "ix_message_created_at": (["created_at"], None),
    "ix_message_doubt": (["destination_addr", "state_at"], "state = 'unknown'"),
    "ix_message_expiry": (["expires_at"], "state IN ('held', 'queued') AND expires_at IS NOT NULL"),
    "ix_message_held": (["not_before"], "state = 'held'"),
    "ix_message_mo_id": (["mo_id"], "mo_id IS NOT NULL"),
    "ix_message_sending": (["node"], "state = 'sending'"),
}
KEY = ("source", "receipt_code", "kind", "occasion")
UNIQUE = "uq_message_source_receipt_code_kind_occasion"
#: As gateway.store.partitions has them; a migration does not change when the program does.
IDS_A_MONTH = 10**9
FIRST_MONTH = 190001


def upgrade() -> None:
    op.create_table(
        "message_key",
        *[sa.Column(name, sa.Text(), nullable=False) for name in KEY],
        sa.Column("message_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint(*KEY, name=op.f("pk_message_key")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "retention_step",
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("begin_at", sa.Text(), server_default="", nullable=False),
        sa.Column("position", sa.Text(), server_default="", nullable=False),
        sa.Column("changed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stepped_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("step", name=op.f("pk_retention_step")),
    )
    names = ", ".join(KEY)
    op.execute(f"INSERT INTO message_key ({names}, message_id) SELECT {names}, id FROM message")
    if op.get_bind().dialect.name == "postgresql":
        _divide()
    else:
        _write_anew(unique=False)


def _divide() -> None:
    op.execute("ALTER SEQUENCE message_id_seq OWNED BY NONE")  # else it would go with the old table
    op.execute("ALTER TABLE message ALTER COLUMN id DROP DEFAULT")
    op.drop_constraint(UNIQUE, "message", type_="unique")
    op.rename_table("message", "message_before")
    for name in ("pk_message", *INDEXES):
        op.execute(f"ALTER INDEX {name} RENAME TO {name.replace('message', 'message_before', 1)}")
    op.execute(
        "CREATE TABLE message (LIKE message_before INCLUDING DEFAULTS, CONSTRAINT pk_message PRIMARY KEY (id)) "
        "PARTITION BY RANGE (id)"
    )
    _create_indexes()
    op.execute("CREATE TABLE message_default PARTITION OF message DEFAULT")
    year, month = datetime.now(UTC).year, datetime.now(UTC).month
    for _ in range(3):  # this month and two more; the rest is the daemon's work
        number = year * 100 + month
        op.execute(
            f"CREATE TABLE message_p{number} PARTITION OF message "
            f"FOR VALUES FROM ({number * IDS_A_MONTH}) TO ({(number + 1) * IDS_A_MONTH})"
        )
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    end = FIRST_MONTH * IDS_A_MONTH
    op.execute(  # there are such ids after a downgrade only
        f"WITH later AS (DELETE FROM message_before WHERE id >= {end} RETURNING *) INSERT INTO message SELECT * FROM later"
    )
    if op.get_bind().scalar(sa.text("SELECT EXISTS (SELECT 1 FROM message_before)")):
        op.execute(f"ALTER TABLE message ATTACH PARTITION message_before FOR VALUES FROM (MINVALUE) TO ({end})")
    else:
        op.drop_table("message_before")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE message RENAME TO message_divided")
        for name in ("pk_message", *INDEXES):
            op.execute(f"ALTER INDEX {name} RENAME TO {name}_divided")
        op.execute(
            "CREATE TABLE message (LIKE message_divided INCLUDING DEFAULTS, CONSTRAINT pk_message PRIMARY KEY (id))"
        )
        op.execute("INSERT INTO message SELECT * FROM message_divided")
        op.drop_table("message_divided")
        _create_indexes()
        op.create_unique_constraint(UNIQUE, "message", list(KEY))
        op.execute("ALTER TABLE message ALTER COLUMN id SET DEFAULT nextval('message_id_seq')")
        op.execute("ALTER SEQUENCE message_id_seq OWNED BY message.id")
    else:
        _write_anew(unique=True)
    op.drop_table("retention_step")
    op.drop_table("message_key")


def _create_indexes() -> None:
    for name, (columns, condition) in INDEXES.items():
        where = None if condition is None else sa.text(condition)
        op.create_index(name, "message", columns, unique=False, sqlite_where=where, postgresql_where=where)


def _write_anew(*, unique: bool) -> None:
    for name in INDEXES:
        op.drop_index(name, table_name="message")
    op.rename_table("message", "message_old")
    constraints = [sa.UniqueConstraint(*KEY, name=op.f(UNIQUE))] if unique else []
    op.create_table(
        "message",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
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
        sa.Column("mo_id", sa.Integer(), nullable=True),
        sa.Column("charge_decision", sa.Text(), nullable=True),
        sa.Column("charge_link", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message")),
        *constraints,
        sqlite_autoincrement=True,
    )
    op.execute("INSERT INTO message SELECT * FROM message_old ORDER BY id")
    # The counter goes on where it was: ids of messages that are purged already are not given out again.
    op.execute("DELETE FROM sqlite_sequence WHERE name = 'message'")
    op.execute("INSERT INTO sqlite_sequence SELECT 'message', seq FROM sqlite_sequence WHERE name = 'message_old'")
    op.drop_table("message_old")
    _create_indexes()
