#!/bin/sh
# Runs once, when the primary's data folder is new (docker-entrypoint-initdb.d of the official image).
set -eu
psql -v ON_ERROR_STOP=1 -U postgres \
  -v motcua="$MOTCUA_DB_PASSWORD" -v replication="$MOTCUA_REPLICATION_PASSWORD" <<'SQL'
CREATE ROLE motcua LOGIN PASSWORD :'motcua';
CREATE DATABASE motcua OWNER motcua;
CREATE ROLE replication LOGIN REPLICATION PASSWORD :'replication';
-- Holds from the start that follows: not before, or these very commits would wait for a standby that is not there yet.
ALTER SYSTEM SET synchronous_standby_names = 'pg_2';
SQL
echo "host replication replication all scram-sha-256" >>"$PGDATA/pg_hba.conf"
