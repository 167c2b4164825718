#!/bin/sh
# The standby: copies the primary once, follows it from then on, and stays what it has become after a promotion.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  install -d -o postgres -g postgres -m 0700 "$PGDATA"
  # -R writes standby.signal and primary_conninfo; its application_name is the one in synchronous_standby_names.
  PGPASSWORD="$MOTCUA_REPLICATION_PASSWORD" gosu postgres pg_basebackup -D "$PGDATA" -R -X stream -c fast \
    -d "host=pg-1 user=replication application_name=pg_2"
  # Once promoted it has no standby to wait for.
  sed -i '/^synchronous_standby_names/d' "$PGDATA/postgresql.auto.conf"
fi
exec gosu postgres postgres -c wal_level=replica -c max_wal_senders=5 -c hot_standby=on
