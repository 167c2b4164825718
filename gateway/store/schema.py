"""The gateway's own tables, once for SQLite and PostgreSQL. alembic's history in ``migrations/`` leads to exactly this.

Conventions: ids are 64-bit; codes, states and SMSC message ids are text, exactly as given; datetimes are aware and in
UTC (``UtcDateTime``); business time (``not_before``, ``expires_at``, ``due_at``) and system time are named in the comments.
The file is long because it is the list of all tables.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

#: SQLite only gives out rowids for INTEGER PRIMARY KEY, PostgreSQL wants BIGINT.
BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime, stored in UTC: timestamptz on PostgreSQL, ISO text on SQLite (which sorts as time does)."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a datetime without time zone was about to be stored: {value!r}")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        result: datetime = value
        return result.replace(tzinfo=UTC) if result.tzinfo is None else result.astimezone(UTC)


metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _partial(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


# --- outgoing -----------------------------------------------------------------------------------------------------

#: On PostgreSQL a table in monthly partitions: the id carries the month of created_at, see :mod:`gateway.store.partitions`.
#: Ids are given by :func:`gateway.store.outbox.insert_messages_txn`, never by the table, so that no other way leads into it.
message = sa.Table(
    "message",
    metadata,
    sa.Column("id", BigId, primary_key=True, autoincrement=True),
    # What it is unique by stands in message_key. Replies use source "mo", receipt_code = the query's id.
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("receipt_code", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("occasion", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # model.MessageState
    sa.Column("reason", sa.Text, nullable=False, server_default=""),  # why it is in this state
    sa.Column("agency_code", sa.Text, nullable=False, server_default=""),
    sa.Column("agency_name", sa.Text, nullable=False, server_default=""),
    sa.Column("procedure_code", sa.Text, nullable=False, server_default=""),
    sa.Column("template_id", sa.Text, nullable=False),
    sa.Column("template_version", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("coding", sa.Text, nullable=False),  # gsm7, ucs2
    sa.Column("parts", sa.Integer, nullable=False),
    sa.Column("source_addr", sa.Text, nullable=False),
    sa.Column("destination_addr", sa.Text, nullable=False),  # international digits; "" when rejected
    sa.Column("route", sa.Text, nullable=False),  # operator
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("not_before", UtcDateTime, nullable=False),  # business time
    sa.Column("expires_at", UtcDateTime),  # business time
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("state_at", UtcDateTime, nullable=False),  # when it came into this state
    sa.Column("accepted_at", UtcDateTime),
    sa.Column("node", sa.Text),  # who claimed it: "name/incarnation", see table node; its lease is the message's lease
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("possible_duplicate", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("mo_id", BigId),
    sa.Column("charge_decision", sa.Text),
    sa.Column("charge_link", sa.Text),  # the MO's SMSC message id, for operators that want it in the reply
    sa.Index("ix_message_claim", "route", "priority", "id", **_partial("state = 'queued'")),
    sa.Index("ix_message_held", "not_before", **_partial("state = 'held'")),
    sa.Index("ix_message_expiry", "expires_at", **_partial("state IN ('held', 'queued') AND expires_at IS NOT NULL")),
    sa.Index("ix_message_sending", "node", **_partial("state = 'sending'")),
    sa.Index("ix_message_accepted", "state_at", **_partial("state = 'accepted'")),
    sa.Index("ix_message_doubt", "destination_addr", "state_at", **_partial("state = 'unknown'")),
    sa.Index("ix_message_created_at", "created_at"),
    sa.Index("ix_message_mo_id", "mo_id", **_partial("mo_id IS NOT NULL")),
    sqlite_autoincrement=True,
    postgresql_partition_by="RANGE (id)",
)

#: Invariant 1: nothing is announced twice. Written in one transaction with the message. A table of its own, because a
#: unique key cannot reach over partitions; and it stays when its message is purged, as long as the dossier is known.
message_key = sa.Table(
    "message_key",
    metadata,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("receipt_code", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("occasion", sa.Text, primary_key=True),
    sa.Column("message_id", BigId, nullable=False),
    sqlite_with_rowid=False,
)

#: One row for each part (submit_sm) that has an outcome; a part without a row has not left yet. No foreign key: it would
#: cost a look-up and a lock per part on the hottest path; parts are written and purged only beside their message's row.
message_part = sa.Table(
    "message_part",
    metadata,
    sa.Column("message_id", BigId, primary_key=True, autoincrement=False),
    sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),  # 1-based
    sa.Column("state", sa.Text, nullable=False),  # model.PartState
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
    sa.Column("bind", sa.Text, nullable=False),
    sa.Column("route", sa.Text, nullable=False),
    sa.Column("smsc_message_id", sa.Text),  # exactly as given in submit_sm_resp
    sa.Column("id_key", sa.Text),  # the same in the one spelling by which receipts look for it (smpp.receipt.id_keys)
    sa.Column("command_status", sa.BigInteger),  # of submit_sm_resp, exactly
    sa.Column("answered_at", UtcDateTime),  # submit_sm_resp
    sa.Column("final_at", UtcDateTime),  # the final receipt
    sa.Column("receipt_stat", sa.Text),  # as given: DELIVRD, UNDELIV …
    sa.Column("receipt_error", sa.Text),
    sa.Index("ix_message_part_id_key", "route", "id_key"),
    sqlite_with_rowid=False,
)

#: Further ids of a part: a submit that was repeated in doubt and accepted twice has two, and gets two receipts.
part_key = sa.Table(
    "part_key",
    metadata,
    sa.Column("route", sa.Text, primary_key=True),
    sa.Column("id_key", sa.Text, primary_key=True),
    sa.Column("message_id", BigId, primary_key=True, autoincrement=False),
    sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
    sa.Index("ix_part_key_message_id", "message_id"),
    sqlite_with_rowid=False,
)

#: Receipts that match no part yet: early ones (invariant 5) wait here; orphans are listed and purged. A matched one is deleted.
waiting_receipt = sa.Table(
    "waiting_receipt",
    metadata,
    sa.Column("id", BigId, primary_key=True, autoincrement=True),
    sa.Column("route", sa.Text, nullable=False),
    sa.Column("bind", sa.Text, nullable=False),
    sa.Column("smsc_message_id", sa.Text, nullable=False),
    sa.Column("state", sa.Text),  # PartState; NULL = intermediate
    sa.Column("stat", sa.Text, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("destination_addr", sa.Text, nullable=False),
    sa.Column("user_message_reference", sa.Integer),
    sa.Column("done_at", UtcDateTime),
    sa.Column("received_at", UtcDateTime, nullable=False),
    sa.Column("status", sa.Text, nullable=False, server_default="waiting"),  # waiting, orphan
    sa.UniqueConstraint("route", "smsc_message_id", "stat", "destination_addr"),
    sa.Index("ix_waiting_receipt_waiting", "received_at", **_partial("status = 'waiting'")),
    sa.Index("ix_waiting_receipt_destination", "destination_addr", **_partial("status = 'waiting'")),
    sa.Index("ix_waiting_receipt_received_at", "received_at"),
    sqlite_autoincrement=True,
)

#: The keys by which a waiting receipt is found when its part's id becomes known (IncomingReceipt.id_keys).
waiting_receipt_key = sa.Table(
    "waiting_receipt_key",
    metadata,
    sa.Column("route", sa.Text, primary_key=True),
    sa.Column("id_key", sa.Text, primary_key=True),
    sa.Column("receipt_id", BigId, primary_key=True, autoincrement=False),
    sa.Column("rank", sa.Integer, nullable=False),  # 0: the likeliest spelling; the others need the same handset
    sa.Index("ix_waiting_receipt_key_receipt_id", "receipt_id"),
    sqlite_with_rowid=False,
)

# --- incoming -----------------------------------------------------------------------------------------------------

mo = sa.Table(
    "mo",
    metadata,
    sa.Column("id", BigId, primary_key=True, autoincrement=True),
    sa.Column("dedupe_key", sa.Text, nullable=False, unique=True),  # invariant 8
    sa.Column("route", sa.Text, nullable=False),
    sa.Column("bind", sa.Text, nullable=False),
    sa.Column("smsc_message_id", sa.Text, nullable=False, server_default=""),
    sa.Column("source_addr", sa.Text, nullable=False),
    sa.Column("destination_addr", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("octets", sa.LargeBinary, nullable=False),
    sa.Column("data_coding", sa.Integer, nullable=False),
    sa.Column("received_at", UtcDateTime, nullable=False),
    sa.Column("repeats", sa.Integer, nullable=False, server_default="0"),  # how often the SMSC sent it again
    sa.Column("state", sa.Text, nullable=False),  # model.MoState
    sa.Column("reason", sa.Text, nullable=False, server_default=""),  # why it is ignored: foreign_keyword, too_many …
    sa.Column("service", sa.Text),  # name of the service in the configuration
    sa.Column("result", sa.Text),  # model.QueryResult
    sa.Column("code", sa.Text),
    sa.Column("reply_kind", sa.Text),  # model.ReplyKind
    sa.Column("found_in", sa.Text),  # source that answered; with "(seen)" when the polled state answered
    sa.Column("lookup_ms", sa.Integer),
    sa.Column("replied_at", UtcDateTime),
    sa.Index("ix_mo_open", "received_at", **_partial("state = 'received'")),
    sa.Index("ix_mo_received_at", "received_at"),
    sa.Index("ix_mo_source_addr", "source_addr", "received_at"),
    sqlite_autoincrement=True,
)

#: Parts of a long MO, persisted before they are acknowledged.
mo_part = sa.Table(
    "mo_part",
    metadata,
    sa.Column("route", sa.Text, primary_key=True),
    sa.Column("source_addr", sa.Text, primary_key=True),
    sa.Column("destination_addr", sa.Text, primary_key=True),
    sa.Column("reference", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("total", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("bind", sa.Text, nullable=False),
    sa.Column("octets", sa.LargeBinary, nullable=False),
    sa.Column("data_coding", sa.Integer, nullable=False),
    sa.Column("smsc_message_id", sa.Text, nullable=False, server_default=""),
    sa.Column("received_at", UtcDateTime, nullable=False),
    sa.Column("mo_id", BigId),  # set when joined; the row stays for a while, so that a repeated part is recognised
    sa.Index("ix_mo_part_received_at", "received_at"),
)

#: Queries with a foreign keyword on their way to the webhook of another service; at least once, until it says 2xx.
mo_forward = sa.Table(
    "mo_forward",
    metadata,
    sa.Column("mo_id", BigId, primary_key=True, autoincrement=False),
    sa.Column("state", sa.Text, nullable=False),  # pending, done, failed
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("due_at", UtcDateTime, nullable=False),  # of the next attempt; a node takes it by moving this on
    sa.Column("last_error", sa.Text, nullable=False, server_default=""),
    sa.Column("state_at", UtcDateTime, nullable=False),
    sa.Index("ix_mo_forward_due_at", "due_at", **_partial("state = 'pending'")),
)

# --- charging -----------------------------------------------------------------------------------------------------

charge = sa.Table(
    "charge",
    metadata,
    sa.Column("mo_id", BigId, sa.ForeignKey("mo.id"), primary_key=True, autoincrement=False),
    sa.Column("route", sa.Text, nullable=False),
    sa.Column("profile", sa.Text, nullable=False),
    sa.Column("amount_vnd", sa.BigInteger, nullable=False),
    sa.Column("decision", sa.Text),  # model.ChargeDecision
    sa.Column("state", sa.Text, nullable=False),  # model.ChargeState
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
    sa.Column("link", sa.Text),  # how the operator ties the reply to the MO
    sa.Column("outcome_raw", sa.Text),  # the number or text that the outcome was read from
    sa.Column("lapses_at", UtcDateTime),  # system time: a reply that has not left by then is not charged
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("state_at", UtcDateTime, nullable=False),
    sa.Index("ix_charge_state", "state", "state_at"),
    sa.Index("ix_charge_created_at", "created_at"),
)

#: Append-only: every change of a ledger row.
charge_journal = sa.Table(
    "charge_journal",
    metadata,
    sa.Column("id", BigId, primary_key=True, autoincrement=True),
    sa.Column("mo_id", BigId, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("from_state", sa.Text),
    sa.Column("to_state", sa.Text, nullable=False),
    sa.Column("decision", sa.Text),  # model.ChargeDecision in force after the change
    # What the change adds to the money charged: + on entering "charged", - on leaving it, 0 otherwise. So the journal's
    # sum always equals the sum of the rows in "charged".
    sa.Column("amount_vnd", sa.BigInteger, nullable=False),
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
    sa.Index("ix_charge_journal_mo_id", "mo_id", "id"),
    sqlite_autoincrement=True,
)

# --- reconciliation with operators' files --------------------------------------------------------------------------

#: A file of an operator. Its rows count from the moment on at which it is "imported"; what a broken import left is removed.
operator_file = sa.Table(
    "operator_file",
    metadata,
    sa.Column("id", BigId, primary_key=True, autoincrement=True),
    sa.Column("route", sa.Text, nullable=False),
    sa.Column("format", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),  # SHA-256 of its octets: the same file is never counted twice
    sa.Column("lists", sa.Text, nullable=False),  # all, refunds, charges
    sa.Column("state", sa.Text, nullable=False),  # importing, imported
    sa.Column("rows", sa.Integer, nullable=False, server_default="0"),
    sa.Column("bad_lines", sa.Integer, nullable=False, server_default="0"),
    sa.Column("first_at", UtcDateTime),  # of the times at which its queries were received
    sa.Column("last_at", UtcDateTime),
    sa.Column("touched_at", UtcDateTime, nullable=False),  # last sign of life of the import
    sa.UniqueConstraint("route", "digest"),
    sqlite_autoincrement=True,
)

operator_row = sa.Table(
    "operator_row",
    metadata,
    sa.Column("file_id", BigId, primary_key=True, autoincrement=False),
    sa.Column("line", sa.Integer, primary_key=True, autoincrement=False),  # 1-based, as an editor counts
    sa.Column("number", sa.Text, nullable=False),  # international digits
    sa.Column("shortcode", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),  # upper-case letters and digits only
    sa.Column("smsc_message_id", sa.Text, nullable=False),
    sa.Column("received_at", UtcDateTime, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),  # charged, not_charged, refunded
    sa.Column("amount_vnd", sa.BigInteger, nullable=False),  # the price of the query, whoever has paid it in the end
    sqlite_with_rowid=False,
)

operator_bad_line = sa.Table(
    "operator_bad_line",
    metadata,
    sa.Column("file_id", BigId, primary_key=True, autoincrement=False),
    sa.Column("line", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("reason", sa.Text, nullable=False),
)

reconcile_run = sa.Table(
    "reconcile_run",
    metadata,
    sa.Column("id", BigId, primary_key=True, autoincrement=True),
    sa.Column("route", sa.Text, nullable=False),
    sa.Column("since", UtcDateTime, nullable=False),  # included
    sa.Column("until", UtcDateTime, nullable=False),  # not included
    sa.Column("tolerance_s", sa.Float, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # running, done
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("finished_at", UtcDateTime),
    sqlite_autoincrement=True,
)

#: What a run counted, by kind: matched, only_ours, only_theirs, different_amount, different_outcome.
reconcile_total = sa.Table(
    "reconcile_total",
    metadata,
    sa.Column("run_id", BigId, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("ours_vnd", sa.BigInteger, nullable=False),  # money charged by our ledger
    sa.Column("theirs_vnd", sa.BigInteger, nullable=False),  # money charged by the operator's file
)

#: Each query on which the two do not agree.
reconcile_item = sa.Table(
    "reconcile_item",
    metadata,
    sa.Column("id", BigId, primary_key=True, autoincrement=True),
    sa.Column("run_id", BigId, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("number", sa.Text, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("smsc_message_id", sa.Text, nullable=False),
    sa.Column("mo_id", BigId),
    sa.Column("ours", sa.Text),  # model.ChargeState
    sa.Column("ours_vnd", sa.BigInteger),
    sa.Column("file_id", BigId),
    sa.Column("line", sa.Integer),
    sa.Column("theirs", sa.Text),
    sa.Column("theirs_vnd", sa.BigInteger),
    sa.Index("ix_reconcile_item_run_id", "run_id", "kind", "smsc_message_id"),
    sqlite_autoincrement=True,
)

# --- dossiers as last seen ----------------------------------------------------------------------------------------

dossier = sa.Table(
    "dossier",
    metadata,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("receipt_code", sa.Text, primary_key=True),
    sa.Column("agency_code", sa.Text, nullable=False),
    sa.Column("agency_name", sa.Text, nullable=False),
    sa.Column("procedure_code", sa.Text, nullable=False),
    sa.Column("procedure_name", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # model.DossierState
    sa.Column("status_raw", sa.Text, nullable=False),
    sa.Column("step_name", sa.Text, nullable=False),
    sa.Column("at_one_stop_shop", sa.Boolean, nullable=False),
    sa.Column("clock_stopped", sa.Boolean, nullable=False),
    sa.Column("return_by_post", sa.Boolean, nullable=False),
    sa.Column("phone_raw", sa.Text, nullable=False),
    sa.Column("phone_recorded_at", sa.Date),
    sa.Column("received_at", UtcDateTime),
    sa.Column("due_at", UtcDateTime),
    sa.Column("due_on", sa.Date),  # the calendar day of due_at in Vietnam: what the apology job asks by
    sa.Column("finished_at", UtcDateTime),
    sa.Column("updated_at", UtcDateTime),  # as the view says
    sa.Column("extra", sa.Text, nullable=False, server_default=""),  # JSON object of the optional columns
    sa.Column("row_hash", sa.Text, nullable=False),
    sa.Column("first_seen_at", UtcDateTime, nullable=False),
    sa.Column("seen_at", UtcDateTime, nullable=False),  # last change that the poller saw
    sa.Column("state_since", UtcDateTime, nullable=False),  # business time at which this state was first seen
    # How often it entered an announced state; the number is the notice's occasion (docs/decisions, occasions).
    sa.Column("result_entries", sa.Integer, nullable=False, server_default="0"),
    sa.Column("supplement_entries", sa.Integer, nullable=False, server_default="0"),
    # Business time at which it last left an announced state: a short absence is not announced again on its return.
    sa.Column("result_left_at", UtcDateTime),
    sa.Column("supplement_left_at", UtcDateTime),
    sa.Column(
        "requests", sa.Text, nullable=False, server_default=""
    ),  # JSON list of its supervised supplement requests
    sa.Index("ix_dossier_due_on", "source", "due_on", "receipt_code"),  # as the apology pages
    sa.Index("ix_dossier_receipt_code", "receipt_code"),
    sa.Index("ix_dossier_agency_code", "agency_code"),
    sa.Index("ix_dossier_received_at", "received_at"),  # reports ask by these two
    sa.Index("ix_dossier_finished_at", "finished_at"),
)

source_cursor = sa.Table(
    "source_cursor",
    metadata,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("updated_at", UtcDateTime),  # the newest row read
    sa.Column("receipt_code", sa.Text),
    sa.Column("announce_from", UtcDateTime, nullable=False),  # history before this is not announced
    sa.Column("last_success_at", UtcDateTime),
    sa.Column("last_error", sa.Text, nullable=False, server_default=""),
    sa.Column("node", sa.Text),  # who polls this source, so that two nodes never apply one source's rows out of order
    sa.Column("lease_until", UtcDateTime),
)

bad_row = sa.Table(
    "bad_row",
    metadata,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("receipt_code", sa.Text, primary_key=True),
    sa.Column("reason", sa.Text, primary_key=True),
    sa.Column("detail", sa.Text, nullable=False, server_default=""),
    sa.Column("first_seen_at", UtcDateTime, nullable=False),
    sa.Column("last_seen_at", UtcDateTime, nullable=False),
    sa.Column("times", sa.Integer, nullable=False, server_default="1"),
)

#: Notices that were cancelled in their hold or contradicted after they left (domain rule 6; F23, F24).
state_conflict = sa.Table(
    "state_conflict",
    metadata,
    sa.Column("id", BigId, primary_key=True, autoincrement=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("receipt_code", sa.Text, nullable=False),
    sa.Column("agency_code", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("message_id", BigId),
    sa.Column("what", sa.Text, nullable=False),  # cancelled_in_hold, contradicted_after_sending, repeated_entry …
    sa.Column("detail", sa.Text, nullable=False, server_default=""),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Index("ix_state_conflict_at", "at"),
    sqlite_autoincrement=True,
)

#: Supplement requests that break the rules (domain rule 8; F38-F45).
supplement_violation = sa.Table(
    "supplement_violation",
    metadata,
    sa.Column("id", BigId, primary_key=True, autoincrement=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("receipt_code", sa.Text, nullable=False),
    sa.Column("agency_code", sa.Text, nullable=False),
    sa.Column("procedure_code", sa.Text, nullable=False),
    sa.Column("request_no", sa.Integer, nullable=False),
    sa.Column("what", sa.Text, nullable=False),  # no_reason, no_components, unsigned, repeated; several with a comma
    sa.Column("detail", sa.Text, nullable=False, server_default=""),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("told", sa.Integer, nullable=False, server_default="0"),  # contacts of the agency that a message went to
    sa.Column("released_at", UtcDateTime),  # a supervisor released it in the source system
    sa.UniqueConstraint("source", "receipt_code", "request_no"),
    sa.Index("ix_supplement_violation_at", "at"),
    sqlite_autoincrement=True,
)

# --- work of the nodes --------------------------------------------------------------------------------------------

#: Daily jobs run exactly once: whoever inserts the row runs it.
job_run = sa.Table(
    "job_run",
    metadata,
    sa.Column("job", sa.Text, primary_key=True),
    sa.Column("scheduled_for", UtcDateTime, primary_key=True),  # business time
    sa.Column("node", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # running, done, missed
    sa.Column("lease_until", UtcDateTime),  # a dead node's unfinished run is taken over
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("finished_at", UtcDateTime),
    sa.Column("detail", sa.Text, nullable=False, server_default=""),
)

#: How far purging and anonymising have come, one row for each of their steps (gateway.store.retention).
retention_step = sa.Table(
    "retention_step",
    metadata,
    sa.Column("step", sa.Text, primary_key=True),
    sa.Column("begin_at", sa.Text, nullable=False, server_default=""),  # JSON key at which the next pass begins
    sa.Column(
        "position", sa.Text, nullable=False, server_default=""
    ),  # of the pass under way, JSON key; "" at its start
    sa.Column("changed", sa.BigInteger, nullable=False, server_default="0"),  # rows in this pass
    sa.Column("started_at", UtcDateTime, nullable=False),  # the pass
    sa.Column("stepped_at", UtcDateTime, nullable=False),  # its latest transaction
    sa.Column("finished_at", UtcDateTime),  # NULL while it is under way
)

#: Live nodes, one row for each life of a daemon.
node = sa.Table(
    "node",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("incarnation", sa.Text, nullable=False),  # a new one at every start
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("alive_until", UtcDateTime, nullable=False),  # the lease on everything that this node has claimed
)

#: What operators' answers taught us: whose number it is since it was ported.
portability = sa.Table(
    "portability",
    metadata,
    sa.Column("number", sa.Text, primary_key=True),  # international digits
    sa.Column("route", sa.Text, nullable=False),
    sa.Column("learned_at", UtcDateTime, nullable=False),
)
