"""What each message is unique by, and its id: the first half of putting a message into the outbox (invariant 1).

The key (source, receipt_code, kind, occasion) is written to ``message_key`` in the transaction that writes the message.
Whoever writes it first has the message; everybody else learns that it exists. One statement for any number of keys.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.engine import Connection

from gateway.store.partitions import IDS_A_MONTH, first_id

#: source, receipt_code, kind, occasion
Key = tuple[str, str, str, str]

#: The counter goes on over the months, so a clock that jumps makes no id twice: ids of one month repeat only after 10^9
#: messages. Which month it is, is said by the caller's time, the same that becomes the message's created_at.
_TAKE_POSTGRESQL = f"""
INSERT INTO message_key (source, receipt_code, kind, occasion, message_id)
SELECT source, receipt_code, kind, occasion, %s + nextval('message_id_seq') %% {IDS_A_MONTH}
FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[]) WITH ORDINALITY AS new (source, receipt_code, kind, occasion, n)
ORDER BY n
ON CONFLICT DO NOTHING
RETURNING source, receipt_code, kind, occasion, message_id
"""

_LAST_SQLITE = "SELECT seq FROM sqlite_sequence WHERE name = 'message'"

#: "WHERE true": without it, SQLite reads ON as the beginning of a join's condition.
_TAKE_SQLITE = """
INSERT INTO message_key (source, receipt_code, kind, occasion, message_id)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'), json_extract(value, '$[3]'), ? + key
FROM json_each(?) WHERE true
ON CONFLICT DO NOTHING
RETURNING message_id
"""


def take_keys_txn(conn: Connection, keys: Sequence[Key], now: datetime) -> dict[Key, int]:
    """Write keys, all different, and give each new one the id of its message, in order. Those that exist are left out."""
    if conn.dialect.name == "postgresql":
        columns = [list(column) for column in zip(*keys, strict=True)]
        rows = conn.exec_driver_sql(_TAKE_POSTGRESQL, (first_id(now), *columns))
        taken = {(source, code, kind, occasion): number for source, code, kind, occasion, number in rows}
        return {key: taken[key] for key in keys if key in taken}
    # The write lock is ours, so nobody takes the same ids; the table's own counter moves on when they are inserted.
    first = (conn.exec_driver_sql(_LAST_SQLITE).scalar() or 0) + 1
    fresh = {number for (number,) in conn.exec_driver_sql(_TAKE_SQLITE, (first, json.dumps(keys)))}
    return {key: first + place for place, key in enumerate(keys) if first + place in fresh}
