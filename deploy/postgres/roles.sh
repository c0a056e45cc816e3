#!/bin/sh
# For each service a role that owns the schema of its name and may enter no other. Harmless to repeat.
# PGHOST, PGUSER, PGPASSWORD and PGDATABASE say where; every HOUFU_<SERVICE>_DB_PASSWORD names a service.
set -eu

ask() {
    psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 "$@"
}

ask --command 'REVOKE ALL ON SCHEMA public FROM PUBLIC'

for setting in $(env | sed -n 's/^\(HOUFU_[A-Z0-9]*_DB_PASSWORD\)=.*/\1/p' | sort); do
    service=$(echo "$setting" | sed 's/^HOUFU_\(.*\)_DB_PASSWORD$/\1/' | tr '[:upper:]' '[:lower:]')
    ask --set service="$service" --set setting="$setting" <<'SQL'
\getenv password :setting
SELECT format('CREATE ROLE %I LOGIN', :'service')
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'service') \gexec
ALTER ROLE :"service" PASSWORD :'password';
SET client_min_messages = warning;  -- no word about a schema that is there
CREATE SCHEMA IF NOT EXISTS :"service" AUTHORIZATION :"service";
-- A frozen holder of a lane's fence is put out before those who wait for it give up, and they before a statement may.
ALTER ROLE :"service" SET search_path = :"service";
ALTER ROLE :"service" SET idle_in_transaction_session_timeout = '5s';
ALTER ROLE :"service" SET lock_timeout = '10s';
ALTER ROLE :"service" SET statement_timeout = '20s';
SQL
    echo "$service has its role and its schema"
done
