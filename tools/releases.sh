# What the scripts for releases share; sourced by them, never run.
# shellcheck shell=bash disable=SC2034 # variables for those who source this

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

# SHA-256 and path of each frozen file, in the order in which the files were frozen.
frozen=sql/releases/SHA256SUMS
# The version that the control file names as default_version.
current=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' Cargo.toml)

# Prints the frozen versions, oldest first.
releases() {
    [ ! -e "$frozen" ] || sed -n 's|.*  sql/releases/pg_pinterest--\(.*\)\.sql$|\1|p' "$frozen"
}

# Prints each pair of consecutive versions, the current one last.
steps() {
    local before='' version
    while read -r version; do
        [ -z "$before" ] || [ "$before" = "$version" ] || echo "$before $version"
        before=$version
    done < <(releases; echo "$current")
}

step_file() { echo "sql/pg_pinterest--$1--$2.sql"; }

# The first line of a step: psql stops here.
step_guard() { printf '\\echo Use "ALTER EXTENSION pg_pinterest UPDATE TO '"'%s'"'" to load this file. \\quit\n' "$1"; }
