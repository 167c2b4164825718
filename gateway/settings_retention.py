"""How long what is kept: section ``retention`` of the configuration."""

from __future__ import annotations

from datetime import time

from pydantic import Field, model_validator

from gateway.settings_base import Secret, Settings


class RetentionSettings(Settings):
    """What ends when: personal data first, rows later; docs/retention.md tells what is done to which table.

    Personal data may be kept no longer than their purpose asks (Nghị định 13/2023/NĐ-CP, Điều 3; Luật 91/2025/QH15).
    """

    receipt_wait_s: float = Field(
        259_200.0, gt=0, description="accepted messages without a receipt close after three days"
    )
    waiting_receipt_s: float = Field(
        86_400.0, gt=0, description="a receipt that matches nothing is an orphan after this"
    )
    orphan_receipt_s: float = Field(2_592_000.0, gt=0, description="orphaned receipts are listed for a month")
    anonymise_days: int | None = Field(
        90,
        ge=1,
        description="messages that have ended lose number and text, dossiers that have ended their number, after this; a quarter, "
        "in which citizens and agencies still ask about a message. null: not before they are deleted",
    )
    message_days: int = Field(
        400,
        ge=1,
        description="messages that have ended are deleted after this; thirteen months for the yearly reports. On PostgreSQL by whole "
        "months, so up to a month later",
    )
    dossier_days: int = Field(
        400,
        ge=1,
        description="dossiers that are returned, withdrawn or stopped, and unchanged for so long, are forgotten once their messages are "
        "deleted. Others stay: they are watched, and nothing of them is announced twice",
    )
    query_anonymise_days: int | None = Field(
        180,
        ge=31,
        description="queries and differences of reconciliations lose number and text, rows of operators' files are deleted, after "
        "this: reconciliation needs the numbers until the month is settled. null: never",
    )
    ledger_days: int = Field(
        3650,
        ge=31,
        description="queries with their ledger rows are deleted after this; ten years, as accounts are kept",
    )
    ported_days: int = Field(
        730,
        ge=1,
        description="what operators' answers taught about ported numbers is forgotten after this, and learned again",
    )
    number_key: Secret = Field(
        "",
        description="secret with which numbers are replaced by a keyed hash, so that the same handset can still be told apart; "
        "without it they are masked (84905***456). At least 16 characters",
    )
    at: time = Field(time(1, 30), description="Vietnamese time at which the day's run begins, on one of the nodes")
    rows: int = Field(
        500, ge=1, le=10_000, description="rows looked at in one transaction; some milliseconds of the writer's time"
    )
    pause_s: float = Field(
        0.2, ge=0, le=60, description="between two transactions, so that messages are hardly delayed"
    )
    busy_depth: int = Field(
        20, ge=1, description="while more functions than this wait for the store, the run waits, too"
    )

    @model_validator(mode="after")
    def _in_order(self) -> RetentionSettings:
        if self.anonymise_days is not None and self.anonymise_days > self.message_days:
            raise ValueError("anonymise_days is above message_days: nothing would be left to anonymise")
        if self.query_anonymise_days is not None and self.query_anonymise_days > self.ledger_days:
            raise ValueError("query_anonymise_days is above ledger_days: nothing would be left to anonymise")
        if self.number_key and len(self.number_key) < 16:
            raise ValueError("number_key is too short to keep numbers secret; write 16 characters or more")
        return self
