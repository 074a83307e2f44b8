\echo Use "CREATE EXTENSION pg_pinterest CASCADE" to load this file. \quit

-- Pinterest's texts are UTF-8, and so are the texts that the library exchanges with the server. This script is plain
-- ASCII, so that it can be read in any encoding up to here.
DO $$
BEGIN
    IF pg_catalog.current_setting('server_encoding') OPERATOR(pg_catalog.<>) 'UTF8' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'feature_not_supported',
            MESSAGE = pg_catalog.format('pg_pinterest requires a database with encoding UTF8, but the encoding of this one is %s', pg_catalog.current_setting('server_encoding')),
            HINT = 'Create one with CREATE DATABASE ... TEMPLATE template0 ENCODING ''UTF8''.';
    END IF;
END
$$;

-- The objects of this version need its library, or a later one. The declaration of a function that every version has loads
-- the library, wherever it is; a server that was not restarted after an upgrade has the one of before.
CREATE FUNCTION @extschema@.pinterest_load_library() RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'pinterest_grant_wrapper';
DROP FUNCTION @extschema@.pinterest_load_library();
DO $$
DECLARE
    needed CONSTANT pg_catalog.text := (SELECT e.extversion FROM pg_catalog.pg_extension e WHERE e.extname OPERATOR(pg_catalog.=) 'pg_pinterest');
    loaded CONSTANT pg_catalog.text := pg_catalog.current_setting('pinterest.library_version', true);
BEGIN
    IF loaded IS NULL OR pg_catalog.string_to_array(pg_catalog.substring(loaded, '^[0-9.]*[0-9]'), '.')::pg_catalog.int4[]
        OPERATOR(pg_catalog.<) pg_catalog.string_to_array(pg_catalog.substring(needed, '^[0-9.]*[0-9]'), '.')::pg_catalog.int4[]
    THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = pg_catalog.format('the SQL objects of version %s need its library, and this session has loaded %s',
                needed, COALESCE(loaded, 'an older one')),
            HINT = 'If pg_pinterest is in shared_preload_libraries, restart the server, otherwise connect again. If that does '
                'not help, the files of two installations are mixed: install one version again.';
    END IF;
END
$$;

-- Every vector column below must be pgvector's, not of a type of the same name that another role created in the target
-- schema.
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
            MESSAGE = 'the type "vector" on the search path does not belong to the extension "vector"',
            HINT = 'Remove the other type, or create pg_pinterest in the schema that contains pgvector.';
    END IF;
    IF pg_catalog.string_to_array((SELECT extversion FROM pg_catalog.pg_extension WHERE extname OPERATOR(pg_catalog.=) 'vector'), '.')::pg_catalog.int4[]
       OPERATOR(pg_catalog.<) ARRAY[0, 8] THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'pg_pinterest requires pgvector 0.8.0 or later',
            HINT = 'Install pgvector 0.8.0 or later (a package of the distribution, or pgvector_setup/install), then run ALTER EXTENSION vector UPDATE.';
    END IF;
    IF pg_catalog.string_to_array((SELECT extversion FROM pg_catalog.pg_extension WHERE extname OPERATOR(pg_catalog.=) 'vector'), '.')::pg_catalog.int4[]
       OPERATOR(pg_catalog.<) ARRAY[0, 8, 3] THEN
        RAISE WARNING USING
            MESSAGE = 'pgvector before 0.8.3 has known faults in HNSW indexes',
            DETAIL = 'Before 0.8.2 a parallel build can read and write beyond a buffer (CVE-2026-3172); before 0.8.3 a vacuum can damage an index.',
            HINT = 'Install pgvector 0.8.3 or later, run ALTER EXTENSION vector UPDATE, and REINDEX the HNSW indexes. Until then, SET max_parallel_maintenance_workers = 0 before you build them.';
    END IF;
END
$$;

-- The role that writes. It is shared by all databases of the cluster that have the extension, so it is not a member of
-- the extension and remains after DROP EXTENSION. Another user may have created a role of that name: a role that can
-- log in, has members, settings or objects is refused. Where Citus is loaded, the role may log in without a password, as
-- its nodes do it: see docs/citus.md.
DO $$
DECLARE
    role pg_catalog.pg_roles;
    others pg_catalog.text;
BEGIN
    SELECT r.* INTO role FROM pg_catalog.pg_roles r WHERE r.rolname OPERATOR(pg_catalog.=) 'pinterest_worker';
    IF NOT FOUND THEN
        CREATE ROLE pinterest_worker NOLOGIN NOINHERIT;
        COMMENT ON ROLE pinterest_worker IS 'pg_pinterest: the role that its workers and functions write with; it cannot log in';
        RETURN;
    END IF;
    IF role.rolcanlogin AND (
            NOT EXISTS (SELECT FROM pg_catalog.pg_settings s WHERE s.name OPERATOR(pg_catalog.=) 'citus.propagate_set_commands')
            OR EXISTS (SELECT FROM pg_catalog.pg_authid a WHERE a.oid OPERATOR(pg_catalog.=) role.oid AND a.rolpassword IS NOT NULL))
        OR role.rolsuper OR role.rolbypassrls OR role.rolcreaterole OR role.rolcreatedb OR role.rolreplication THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'the role "pinterest_worker" has attributes that pg_pinterest does not allow',
            HINT = 'Rename that role, or run ALTER ROLE pinterest_worker NOLOGIN PASSWORD NULL NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB NOREPLICATION.';
    END IF;
    SELECT pg_catalog.string_agg(DISTINCT pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(m.member)), ', ') INTO others
    FROM pg_catalog.pg_auth_members m WHERE m.roleid OPERATOR(pg_catalog.=) role.oid;
    IF others IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'the role "pinterest_worker" has members, who could read every account and every sealed token',
            HINT = pg_catalog.format('Run REVOKE pinterest_worker FROM %s, or rename that role.', others);
    END IF;
    SELECT pg_catalog.string_agg(DISTINCT pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(m.roleid)), ', ') INTO others
    FROM pg_catalog.pg_auth_members m WHERE m.member OPERATOR(pg_catalog.=) role.oid;
    IF others IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'the role "pinterest_worker" is a member of other roles',
            HINT = pg_catalog.format('Run REVOKE %s FROM pinterest_worker, or rename that role.', others);
    END IF;
    IF EXISTS (SELECT FROM pg_catalog.pg_db_role_setting s WHERE s.setrole OPERATOR(pg_catalog.=) role.oid) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'the role "pinterest_worker" has settings',
            HINT = 'Run ALTER ROLE pinterest_worker RESET ALL, also with IN DATABASE for each database that has some; or rename that role.';
    END IF;
    IF EXISTS (SELECT FROM pg_catalog.pg_shdepend d
               WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_authid'::pg_catalog.regclass
                 AND d.refobjid OPERATOR(pg_catalog.=) role.oid AND d.deptype OPERATOR(pg_catalog.=) 'o') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'the role "pinterest_worker" owns objects',
            HINT = 'Run REASSIGN OWNED BY pinterest_worker TO another role, in each database where it owns objects; or rename that role.';
    END IF;
END
$$;
