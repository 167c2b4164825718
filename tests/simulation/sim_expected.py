"""What must have happened among the seeds of the test suite, each at least once: so that nobody makes the simulation toothless.

The names are those that ``run.py --seen`` prints.
"""

from __future__ import annotations

STRUCK = (
    "links_cut", "links_half_open", "operator_refused", "operator_silent", "network_slow",
    "answers_go_astray", "answers_nobody_asked_for", "operator_overloaded", "operator_congested", "operator_refuses",
    "receipts_go_astray", "orphan_receipts", "binds_refused", "operator_unbinds",
    "process_killed", "all_killed", "process_restarted", "clock_jumps", "struck_at_the_apology",
    "store_slow", "store_down", "store_full", "node_cut_off", "commits_without_answer",
    "source_down", "texts_while_source_down", "source_slow", "source_hangs",
)  # fmt: skip

#: Events of the gateway's log: that it met each fault, and went through each way out.
LOGGED = (
    "bind_down", "bind_refused", "throttled", "recovered", "congested", "late_response", "message_in_doubt",
    "message_delayed", "message_rejected", "message_failed", "possible_duplicates_queued", "doubt_settled_by_receipt",
    "leases_lapsed", "lease_not_renewed", "lease_had_lapsed", "live_nodes", "not_recorded", "outcome_too_late",
    "number_moved", "kept_for_morning", "mo_repeated", "mo_taken_up", "mo_not_recorded", "mo_part_received",
    "source_down", "source_up", "poll_not_recorded", "notice_cancelled", "state_conflicts",
    "job_started", "job_done", "job_missed", "retention_done", "charge_settled", "drained",
)  # fmt: skip

#: Kinds of messages and the states in which they ended.
MESSAGES = (
    *(f"result_ready/{state}" for state in ("delivered", "undelivered", "expired", "rejected", "cancelled")),
    *(f"supplement_needed/{state}" for state in ("delivered", "undelivered", "expired", "rejected", "cancelled")),
    *(f"apology_due_tomorrow/{state}" for state in ("delivered", "undelivered", "expired", "rejected")),
    *(f"mo_reply/{state}" for state in ("delivered", "undelivered", "expired", "rejected")),
)

OTHER = (
    "submit/whole", "submit/part", "submit/payload", "query/in_parts", "possible_duplicate",
    *(f"answer/{status}" for status in ("0x0", "0x8", "0xb", "0x14", "0x58")),
    *(f"nodes/{number}" for number in (1, 2, 3)),
    *(f"scenes/{number}" for number in (2, 3, 4, 7)),
)  # fmt: skip

EXPECTED = (
    *(f"weather/{name}" for name in STRUCK),
    *(f"log/{name}" for name in LOGGED),
    *(f"message/{name}" for name in MESSAGES),
    *OTHER,
)
