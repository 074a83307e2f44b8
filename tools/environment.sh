# Variables for the scripts that build the extension; they source it: `. tools/environment.sh`.
# shellcheck shell=bash

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$checkout" || exit 1

pg_config=$(pgvector_setup/find-postgres) || {
    # Its own sentence has been printed if the request cannot be met.
    [ $? = 2 ] || echo "found no Postgres server${PG:+ of major version $PG}: run make setup" >&2
    exit 1
}
pg_major=$("$pg_config" --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/')
cargo_output=${CARGO_TARGET_DIR:-$checkout/target}

PATH=$(dirname "$(pgvector_setup/cargo-pgrx)"):$PATH
export PATH

# pgrx reads from a file under PGRX_HOME which Postgres to use, by default ~/.pgrx; the developer's own file is not changed.
# One file for each major: a change of it compiles the bindings again, and all that uses them.
PGRX_HOME=$(tools/runtime-dir "pgrx-$pg_major")
export PGRX_HOME

# Everything is built once. By default cargo-pgrx builds one package, and sets RUSTFLAGS that build.rs makes needless: either
# makes cargo compile every dependency a second time, with other features or flags.
export CARGO_PGRX_DISABLE_GC_SECTIONS_WORKAROUND=1
export PGRX_BUILD_FLAGS="--workspace --features pinterest-embedder/default"

# Cargo's default features choose Postgres 15. To choose another major version, the defaults are switched off for the whole
# workspace, so that the embedder's have to be named again.
# shellcheck disable=SC2034 # used by the scripts that source this
features=()
if [ "$pg_major" != 15 ]; then
    # shellcheck disable=SC2034
    features=(--no-default-features --features "pg_pinterest/pg$pg_major,pinterest-embedder/default")
fi
export cargo_output

# Lets pgrx make its bindings for the staged server. The file is written only if it changes: pgrx makes them again for a newer one.
staged=$(tools/stage)
if ! grep -qsF "\"$staged\"" "$PGRX_HOME/config.toml"; then
    cargo pgrx init "--pg$pg_major=$staged" --no-run
fi
