# What every script that builds the extension needs; sourced by them, never run.
# shellcheck shell=bash

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$checkout" || exit 1

pg_config=$(pgvector_setup/find-postgres) || { echo "no Postgres server here: make setup" >&2; exit 1; }
pg_major=$("$pg_config" --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/')
cargo_output=${CARGO_TARGET_DIR:-$checkout/target}

PATH=$(dirname "$(pgvector_setup/cargo-pgrx)"):$PATH
export PATH

# pgrx learns about Postgres from a file under PGRX_HOME, ~/.pgrx by default; the developer's own is left alone.
PGRX_HOME=$(tools/runtime-dir pgrx)
export PGRX_HOME

# Builds everything once. cargo-pgrx builds one package by itself, and would set RUSTFLAGS that build.rs makes needless:
# either would have cargo compile every dependency a second time with other features or flags.
export CARGO_PGRX_DISABLE_GC_SECTIONS_WORKAROUND=1
export PGRX_BUILD_FLAGS="--workspace --features pinterest-embedder/default"

# Cargo's default features choose Postgres 15; any other major is chosen by switching the defaults off, for the whole
# workspace, so that the embedder's have to be named again.
# shellcheck disable=SC2034 # for those who source this
features=()
if [ "$pg_major" != 15 ]; then
    # shellcheck disable=SC2034
    features=(--no-default-features --features "pg_pinterest/pg$pg_major,pinterest-embedder/default")
fi
export cargo_output

# Has pgrx's bindings made for the staged server. Written only where it changes: a newer file has them made again.
staged=$(tools/stage)
if ! grep -qsF "\"$staged\"" "$PGRX_HOME/config.toml"; then
    cargo pgrx init "--pg$pg_major=$staged" --no-run
fi
