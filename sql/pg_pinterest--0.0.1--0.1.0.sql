\echo Use "ALTER EXTENSION pg_pinterest UPDATE TO '0.1.0'" to load this file. \quit

-- The objects of this version need its library. If it is not loaded, nothing is changed.
LOAD 'MODULE_PATHNAME';
DO $$
DECLARE
    needed CONSTANT pg_catalog.text := '0.1.0';
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
$$;

-- No SQL changes.
