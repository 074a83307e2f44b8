\echo Use "CREATE EXTENSION pg_pinterest CASCADE" to load this file. \quit

-- Pinterest's texts are UTF-8, and so are the texts that the library hands to the server and takes from it. This script is
-- plain ASCII, so that it can be read in any encoding up to here.
DO $$
BEGIN
    IF pg_catalog.current_setting('server_encoding') OPERATOR(pg_catalog.<>) 'UTF8' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'feature_not_supported',
            MESSAGE = pg_catalog.format('pg_pinterest needs a database of encoding UTF8, this one is of encoding %s', pg_catalog.current_setting('server_encoding')),
            HINT = 'CREATE DATABASE ... TEMPLATE template0 ENCODING ''UTF8'' makes one.';
    END IF;
END
$$;

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
    IF pg_catalog.string_to_array((SELECT extversion FROM pg_catalog.pg_extension WHERE extname OPERATOR(pg_catalog.=) 'vector'), '.')::pg_catalog.int4[]
       OPERATOR(pg_catalog.<) ARRAY[0, 8, 3] THEN
        RAISE WARNING USING
            MESSAGE = 'pgvector before 0.8.3 has known faults in HNSW indexes',
            DETAIL = 'Before 0.8.2 a parallel build can read and write beyond a buffer (CVE-2026-3172); before 0.8.3 a vacuum can damage an index.',
            HINT = 'Install pgvector 0.8.3 or newer, ALTER EXTENSION vector UPDATE, REINDEX the HNSW indexes. Until then build them with SET max_parallel_maintenance_workers = 0.';
    END IF;
END
$$;

-- The role that writes. Cluster-wide and shared by all databases with the extension, so it is not a member of it and
-- stays after DROP EXTENSION. Others may have made a role of that name before: one that somebody can act as, or that
-- brings settings or objects along, is not ours.
DO $$
DECLARE
    role pg_catalog.pg_roles;
    others pg_catalog.text;
BEGIN
    SELECT r.* INTO role FROM pg_catalog.pg_roles r WHERE r.rolname OPERATOR(pg_catalog.=) 'pinterest_worker';
    IF NOT FOUND THEN
        CREATE ROLE pinterest_worker NOLOGIN NOINHERIT;
        COMMENT ON ROLE pinterest_worker IS 'pg_pinterest: the role its workers and functions write with; nobody logs in as it';
        RETURN;
    END IF;
    IF role.rolcanlogin OR role.rolsuper OR role.rolbypassrls OR role.rolcreaterole OR role.rolcreatedb OR role.rolreplication THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'the role "pinterest_worker" has attributes that pg_pinterest''s own role never has',
            HINT = 'Rename that role, or ALTER ROLE pinterest_worker NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB NOREPLICATION.';
    END IF;
    SELECT pg_catalog.string_agg(DISTINCT pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(m.member)), ', ') INTO others
    FROM pg_catalog.pg_auth_members m WHERE m.roleid OPERATOR(pg_catalog.=) role.oid;
    IF others IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'the role "pinterest_worker" has members: they would read every account and every sealed token',
            HINT = pg_catalog.format('REVOKE pinterest_worker FROM %s; or rename that role.', others);
    END IF;
    SELECT pg_catalog.string_agg(DISTINCT pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(m.roleid)), ', ') INTO others
    FROM pg_catalog.pg_auth_members m WHERE m.member OPERATOR(pg_catalog.=) role.oid;
    IF others IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'the role "pinterest_worker" is a member of other roles, which pg_pinterest''s own role never is',
            HINT = pg_catalog.format('REVOKE %s FROM pinterest_worker; or rename that role.', others);
    END IF;
    IF EXISTS (SELECT FROM pg_catalog.pg_db_role_setting s WHERE s.setrole OPERATOR(pg_catalog.=) role.oid) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'the role "pinterest_worker" has settings of its own',
            HINT = 'ALTER ROLE pinterest_worker RESET ALL, and the same IN DATABASE ... where there are some for a database; or rename that role.';
    END IF;
    IF EXISTS (SELECT FROM pg_catalog.pg_shdepend d
               WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_authid'::pg_catalog.regclass
                 AND d.refobjid OPERATOR(pg_catalog.=) role.oid AND d.deptype OPERATOR(pg_catalog.=) 'o') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'the role "pinterest_worker" owns objects, which pg_pinterest''s own role never does',
            HINT = 'REASSIGN OWNED BY pinterest_worker TO another role, in each database where it owns some; or rename that role.';
    END IF;
END
$$;
