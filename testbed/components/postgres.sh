# postgres.sh: a PostgreSQL of our own in $S/pg, with one user, viewer. It refuses to run as root.
# shellcheck shell=bash

component postgres packages="postgresql postgresql-client"
start_postgres() {
  local bin
  bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | tail -n 1)
  local -a as=()
  mkdir -p "$S/pg" "$S/pgrun"
  if [ "$(id -u)" = 0 ]; then
    as=(setpriv --reuid=postgres --regid=postgres --init-groups)
    chown postgres:postgres "$S/pg" "$S/pgrun"
  fi
  if [ ! -d "$S/pg/base" ]; then
    echo s3cret >"$S/conf/pgpw" && chmod 644 "$S/conf/pgpw"
    (cd / && "${as[@]}" "$bin/initdb" -D "$S/pg" -U viewer --pwfile="$S/conf/pgpw" -A scram-sha-256 -E UTF8) >>"$S/log/postgres.log" 2>&1
  fi
  run postgres "${as[@]}" "$bin/postgres" -D "$S/pg" -p 15432 -k "$S/pgrun" -h "$A" -c fsync=off
  wait_tcp 15432
}
