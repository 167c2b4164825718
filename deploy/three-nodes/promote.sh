#!/bin/sh
# Failover by hand: makes the standby the primary. First be sure that the old primary is dead and stays dead:
# two primaries would both take writes, and one half would be lost (docs/scaling.md, "Failover").
set -eu
docker compose kill pg-1 2>/dev/null || true
docker compose exec -u postgres pg-2 pg_ctl promote -D /var/lib/postgresql/data
# Afterwards, when pg-1's machine is well again: give it an empty data folder and make it the standby of pg-2 in the same way
# (pg_basebackup), then on pg-2: ALTER SYSTEM SET synchronous_standby_names = 'pg_1'; SELECT pg_reload_conf();
