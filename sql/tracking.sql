-- Tracked columns of users' tables: the triggers' functions, and the views.

-- They write the queue as pinterest_worker once they have read the row with the rights of whoever changes it. EXECUTE is
-- asked for where a trigger is made, not where it fires: an app that may write the table needs nothing of ours.
CREATE FUNCTION pinterest.track_change() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'pinterest_track_change';
COMMENT ON FUNCTION pinterest.track_change() IS
    'Internal: after a row of a tracked table changed, puts it into the queue or takes it out. pinterest_track() makes the triggers';

CREATE FUNCTION pinterest.track_stale() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'pinterest_track_stale';
COMMENT ON FUNCTION pinterest.track_stale() IS
    'Internal: before the source of a row changes, empties its embedding. pinterest_track() makes the triggers';

REVOKE ALL ON FUNCTION pinterest.track_change(), pinterest.track_stale() FROM PUBLIC;

CREATE VIEW pinterest.tracked WITH (security_barrier) AS
SELECT c.tracked_column_id, COALESCE(t.name, pg_catalog.format('%I.%I', c.table_schema, c.table_name)) AS "table", c.owner::pg_catalog.text AS owner,
       c.key_columns, c.source_kind, c.source_column, c.embedding_column,
       CASE WHEN t.name IS NULL OR c.problem IS NOT NULL THEN 'problem' ELSE 'active' END AS state,
       n.rows, n.embedded, n.pending, n.failed,
       CASE WHEN n.rows OPERATOR(pg_catalog.=) 0 THEN 1.0::pg_catalog.float8
            ELSE (n.embedded OPERATOR(pg_catalog.+) n.failed)::pg_catalog.float8 OPERATOR(pg_catalog./) n.rows::pg_catalog.float8
       END AS progress,
       CASE WHEN t.name IS NULL THEN 'the table is gone, or does not belong to its owner of then any more' ELSE c.problem END AS problem,
       CASE WHEN t.name IS NULL THEN '42704' ELSE c.problem_code END AS problem_code,
       CASE WHEN t.name IS NULL THEN 'pinterest_untrack() with the table''s name forgets it; its owner of now calls pinterest_track().'
            ELSE c.problem_hint END AS hint,
       c.next_attempt_at, n.models, c.created_at
FROM pinterest.tracked_column c
-- By the index where the remembered oid is right; pg_trigger is searched as a whole only where it is not.
LEFT JOIN LATERAL (
    SELECT pg_catalog.format('%I.%I', s.nspname, r.relname) AS name
    FROM (SELECT COALESCE(
        (SELECT g.tgrelid FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_class r ON r.oid OPERATOR(pg_catalog.=) g.tgrelid
         WHERE g.tgrelid OPERATOR(pg_catalog.=) c.table_oid
           AND g.tgname OPERATOR(pg_catalog.=) ('pinterest_track_' OPERATOR(pg_catalog.||) c.tracked_column_id::pg_catalog.text)::pg_catalog.name
           AND g.tgfoid OPERATOR(pg_catalog.=) 'pinterest.track_change()'::pg_catalog.regprocedure
           AND g.tgparentid OPERATOR(pg_catalog.=) 0::pg_catalog.oid
           AND pg_catalog.encode(pg_catalog.substring(g.tgargs, 1, 36), 'escape') OPERATOR(pg_catalog.=) c.tie::pg_catalog.text
           AND r.relowner OPERATOR(pg_catalog.=) pinterest.owner_oid(c.owner)),
        (SELECT g.tgrelid FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_class r ON r.oid OPERATOR(pg_catalog.=) g.tgrelid
         WHERE g.tgname OPERATOR(pg_catalog.=) ('pinterest_track_' OPERATOR(pg_catalog.||) c.tracked_column_id::pg_catalog.text)::pg_catalog.name
           AND g.tgfoid OPERATOR(pg_catalog.=) 'pinterest.track_change()'::pg_catalog.regprocedure
           AND g.tgparentid OPERATOR(pg_catalog.=) 0::pg_catalog.oid
           AND pg_catalog.encode(pg_catalog.substring(g.tgargs, 1, 36), 'escape') OPERATOR(pg_catalog.=) c.tie::pg_catalog.text
           AND r.relowner OPERATOR(pg_catalog.=) pinterest.owner_oid(c.owner)
         ORDER BY g.tgrelid LIMIT 1)) AS oid) AS found
    JOIN pg_catalog.pg_class r ON r.oid OPERATOR(pg_catalog.=) found.oid
    JOIN pg_catalog.pg_namespace s ON s.oid OPERATOR(pg_catalog.=) r.relnamespace
) AS t ON true
CROSS JOIN LATERAL (
    SELECT pg_catalog.count(*) AS rows,
           pg_catalog.count(*) FILTER (WHERE r.state OPERATOR(pg_catalog.=) 'embedded') AS embedded,
           pg_catalog.count(*) FILTER (WHERE r.state OPERATOR(pg_catalog.=) 'pending') AS pending,
           pg_catalog.count(*) FILTER (WHERE r.state OPERATOR(pg_catalog.=) 'failed') AS failed,
           pg_catalog.array_agg(DISTINCT r.model_id) FILTER (WHERE r.model_id IS NOT NULL) AS models
    FROM pinterest.tracked_row r WHERE r.tracked_column_id OPERATOR(pg_catalog.=) c.tracked_column_id
) AS n
WHERE pinterest.has_rights_of(c.owner)
   OR EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname OPERATOR(pg_catalog.=) CURRENT_USER AND (r.rolsuper OR r.rolbypassrls));
COMMENT ON VIEW pinterest.tracked IS 'The tracked columns of your tables: what follows what, how many rows are embedded, pending and failed, and the problem where one keeps a whole column';
COMMENT ON COLUMN pinterest.tracked."table" IS 'The table as it is named now; as it was declared where it is gone';
COMMENT ON COLUMN pinterest.tracked.state IS 'active, or problem: no row can be worked on now';
COMMENT ON COLUMN pinterest.tracked.rows IS 'Rows that have a source: the sum of embedded, pending and failed';
COMMENT ON COLUMN pinterest.tracked.progress IS 'Share of the rows that are embedded or failed, 0 to 1';
COMMENT ON COLUMN pinterest.tracked.next_attempt_at IS 'When the workers look again whether the problem is gone';
COMMENT ON COLUMN pinterest.tracked.models IS 'What made the embeddings that are in the table, see pinterest.models: more than one have no common distance';

CREATE VIEW pinterest.tracked_failures WITH (security_barrier) AS
SELECT c.tracked_column_id, pg_catalog.format('%I.%I', c.table_schema, c.table_name) AS "table", c.embedding_column,
       c.key_columns, r.key, r.state, r.reason, r.reason_code, r.attempts, r.next_attempt_at
FROM pinterest.tracked_row r
JOIN pinterest.tracked_column c USING (tracked_column_id)
WHERE r.reason IS NOT NULL
  AND (pinterest.has_rights_of(c.owner)
       OR EXISTS (SELECT FROM pg_catalog.pg_roles s WHERE s.rolname OPERATOR(pg_catalog.=) CURRENT_USER AND (s.rolsuper OR s.rolbypassrls)));
COMMENT ON VIEW pinterest.tracked_failures IS 'Rows of tracked tables that have failed, or whose last attempt did: the key, why, and how often it was tried';
COMMENT ON COLUMN pinterest.tracked_failures."table" IS 'As it was named when it was declared';
COMMENT ON COLUMN pinterest.tracked_failures.key IS 'The values of key_columns as text';
COMMENT ON COLUMN pinterest.tracked_failures.state IS 'failed: pinterest_retry_tracked() puts it back to work; pending: the workers try again at next_attempt_at';
