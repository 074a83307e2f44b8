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

# Prints the check of a step for the version $1: its objects need the library of that version, or a later one.
step_check() {
    cat <<STEP

-- The objects of this version need its library. If it is not loaded, nothing is changed. The declaration of a function that
-- every version has loads the library, wherever it is.
CREATE FUNCTION @extschema@.pinterest_load_library() RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'pinterest_grant_wrapper';
DROP FUNCTION @extschema@.pinterest_load_library();
DO \$\$
DECLARE
    needed CONSTANT pg_catalog.text := '$1';
    loaded CONSTANT pg_catalog.text := pg_catalog.current_setting('pinterest.library_version', true);
BEGIN
    IF loaded IS NULL OR pg_catalog.string_to_array(pg_catalog.substring(loaded, '^[0-9.]*[0-9]'), '.')::pg_catalog.int4[]
        OPERATOR(pg_catalog.<) pg_catalog.string_to_array(pg_catalog.substring(needed, '^[0-9.]*[0-9]'), '.')::pg_catalog.int4[]
    THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = pg_catalog.format('the SQL objects of version %s need its library, and this session has loaded %s',
                needed, COALESCE(loaded, 'an older one')),
            HINT = 'Install the new files. If pg_pinterest is in shared_preload_libraries, restart the server, otherwise '
                'connect again. Then run ALTER EXTENSION pg_pinterest UPDATE.';
    END IF;
END
\$\$;
STEP
}
