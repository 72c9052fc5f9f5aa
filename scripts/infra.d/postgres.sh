# shellcheck shell=bash disable=SC2154  # the variables are those of scripts/infra
# PostgreSQL, with the machine's own programs.

# The directory of PostgreSQL's programs: 15 if it is there, else the newest.
postgres_programs() {
    local found
    found=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -1)
    if [ -d /usr/lib/postgresql/15/bin ]; then found=/usr/lib/postgresql/15/bin; fi
    if [ -d "$found" ]; then echo "$found"; else dirname "$(command -v initdb)" 2>/dev/null; fi
}

need_postgres() {
    programs=$(postgres_programs) || true
    [ -x "$programs/initdb" ] && return
    # Debian's package would start a server of its own on port 5432, unless that is switched off before it is installed.
    install postgresql-common
    sed -i -E 's/^#?create_main_cluster *=.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
    install postgresql
    programs=$(postgres_programs)
}

# PostgreSQL refuses to run as root. `cd /`, because its user may not see the directory we are in.
as_postgres() {
    if [ "$(id -u)" = 0 ]; then
        (cd / && exec setpriv --reuid=postgres --regid=postgres --init-groups "$@")
    else
        "$@"
    fi
}

# Its data lie in .infra where its user can get there, else in a temporary directory that belongs to this checkout.
choose_postgres() {
    [ -n "${PABAL_POSTGRES_DIR:-}" ] && [ -d "$PABAL_POSTGRES_DIR" ] && return
    PABAL_POSTGRES_DIR=$state/postgres
    reachable && return
    rmdir "$PABAL_POSTGRES_DIR"
    PABAL_POSTGRES_DIR=${TMPDIR:-/tmp}/pabal-infra-$(printf %s "$root" | cksum | cut -d ' ' -f 1)
    reachable || fail "the user postgres cannot reach $PABAL_POSTGRES_DIR: set TMPDIR"
}

reachable() {
    mkdir -p "$PABAL_POSTGRES_DIR"
    [ -O "$PABAL_POSTGRES_DIR" ] || fail "$PABAL_POSTGRES_DIR belongs to another user"
    chmod 711 "$PABAL_POSTGRES_DIR"
    as_postgres test -x "$PABAL_POSTGRES_DIR" 2>/dev/null
}

postgres_answers() {
    [ -n "$postgres_port" ] && [ "$(PGCONNECT_TIMEOUT=3 timeout 5 "$programs/psql" -XAtwq -h 127.0.0.1 -p "$postgres_port" -U postgres \
        -d "${1:-pabal}" -c "${2:-SELECT 1}" 2>/dev/null)" = 1 ]
}

start_postgres() {
    local data=$PABAL_POSTGRES_DIR/data options stale
    if [ ! -f "$data/PG_VERSION" ]; then
        rm -rf "$data" && mkdir -m 700 "$data"
        [ "$(id -u)" != 0 ] || chown postgres: "$data"
        as_postgres "$programs/initdb" -D "$data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 >"$state/initdb.log" 2>&1 \
            || fail "initdb: $(cat "$state/initdb.log")"
    fi
    give_postgres_its_certificate
    # A killed server leaves its pid behind. PostgreSQL sees that it is stale, unless another process has that pid by now.
    stale=$(head -1 "$data/postmaster.pid" 2>/dev/null || true)
    if [ -n "$stale" ] && [ -e "/proc/$stale" ]; then rm -f "$data/postmaster.pid"; fi
    # No socket: its path may be too long. Durable, as in earnest: that is what is tested.
    options="-p $postgres_port -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=200"
    options+=" -c ssl=on -c fsync=on -c synchronous_commit=on -c full_page_writes=on"
    as_postgres "$programs/pg_ctl" -s -w -t 90 -D "$data" -l "$data/log" -o "$options" start </dev/null >/dev/null 9>&- \
        || fail "PostgreSQL does not start: $(tail -20 "$data/log")"
}

await_postgres() {
    within 60 postgres_answers postgres || fail "PostgreSQL does not answer: $(tail -20 "$PABAL_POSTGRES_DIR/data/log")"
    postgres_answers pabal || "$programs/psql" -Xwq -h 127.0.0.1 -p "$postgres_port" -U postgres -c 'CREATE DATABASE pabal'
    postgres_answers pabal || fail "the database pabal does not answer"
}

# Where the server looks for them. Only its user may read the key.
give_postgres_its_certificate() {
    local data=$PABAL_POSTGRES_DIR/data
    command install -m 600 infra/postgres/pg_hba.conf "$data/pg_hba.conf"
    command install -m 600 "$tls/server.pem" "$data/server.crt"
    command install -m 600 "$tls/server.key" "$data/server.key"
    [ "$(id -u)" != 0 ] || chown postgres: "$data/pg_hba.conf" "$data/server.crt" "$data/server.key"
}

# The user `pabal`, who has to come encrypted and with the password. Through the standard input: arguments are seen by all.
let_in_by_password() {
    "$programs/psql" -Xwq -h 127.0.0.1 -p "$postgres_port" -U postgres -d pabal -v ON_ERROR_STOP=1 >/dev/null <<-END || fail "no user pabal"
	SELECT 'CREATE ROLE pabal' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pabal') \gexec
	SET log_statement = none;
	ALTER ROLE pabal LOGIN PASSWORD '$(cat "$tls/password")';
	GRANT CREATE ON DATABASE pabal TO pabal;
	END
}
