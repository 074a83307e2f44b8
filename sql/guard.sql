\echo Use "CREATE EXTENSION pg_pinterest CASCADE" to load this file. \quit

-- Every vector column below must be pgvector's, not a type of the same name that someone put into the target schema.
DO $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend d
        JOIN pg_catalog.pg_extension e ON d.refobjid OPERATOR(pg_catalog.=) e.oid
        WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_type'::pg_catalog.regclass
          AND d.objid OPERATOR(pg_catalog.=) 'vector'::pg_catalog.regtype
          AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass
          AND d.deptype OPERATOR(pg_catalog.=) 'e'
          AND e.extname OPERATOR(pg_catalog.=) 'vector'
    ) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'the type "vector" on the search path is not the one of the extension "vector"',
            HINT = 'Remove the other type, or create pg_pinterest in the schema that holds pgvector.';
    END IF;
    IF pg_catalog.string_to_array((SELECT extversion FROM pg_catalog.pg_extension WHERE extname OPERATOR(pg_catalog.=) 'vector'), '.')::pg_catalog.int4[]
       OPERATOR(pg_catalog.<) ARRAY[0, 8] THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'pg_pinterest needs pgvector 0.8.0 or newer',
            HINT = 'Run pgvector_setup/install, then ALTER EXTENSION vector UPDATE.';
    END IF;
END
$$;

-- The role that writes. Cluster-wide and shared by all databases with the extension, so it is not a member of it and
-- stays after DROP EXTENSION. A role of that name that can log in or is a superuser is somebody else's.
DO $$
DECLARE
    role pg_catalog.pg_roles;
BEGIN
    SELECT r.* INTO role FROM pg_catalog.pg_roles r WHERE r.rolname OPERATOR(pg_catalog.=) 'pinterest_worker';
    IF NOT FOUND THEN
        CREATE ROLE pinterest_worker NOLOGIN NOINHERIT;
        COMMENT ON ROLE pinterest_worker IS 'pg_pinterest: the role its workers and functions write with; nobody logs in as it';
    ELSIF role.rolcanlogin OR role.rolsuper OR role.rolbypassrls OR role.rolcreaterole OR role.rolcreatedb OR role.rolreplication THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'the role "pinterest_worker" has attributes that pg_pinterest''s own role never has',
            HINT = 'Rename that role, or ALTER ROLE pinterest_worker NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB NOREPLICATION.';
    END IF;
END
$$;
