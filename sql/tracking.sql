-- Tracked columns of users' tables: the triggers' functions, and the views.

-- They read the row with the rights of the role that changes it, and then write the queue as pinterest_worker. EXECUTE
-- is checked when a trigger is created and not when it fires: a role that may write the table needs no privileges on
-- the extension.
CREATE FUNCTION pinterest.track_change() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'pinterest_track_change';

CREATE FUNCTION pinterest.track_stale() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'pinterest_track_stale';

CREATE VIEW pinterest.tracked WITH (security_barrier) AS
SELECT c.tracked_column_id, COALESCE(t.name, pg_catalog.format('%I.%I', c.table_schema, c.table_name)) AS "table", c.owner::pg_catalog.text AS owner,
       c.key_columns, c.source_kind, c.source_column, c.embedding_column,
       CASE WHEN t.name IS NULL OR c.problem IS NOT NULL OR u.problem IS NOT NULL THEN 'problem' ELSE 'active' END AS state,
       n.rows, n.embedded, n.pending, n.failed,
       CASE WHEN n.rows OPERATOR(pg_catalog.=) 0 THEN 1.0::pg_catalog.float8
            ELSE (n.embedded OPERATOR(pg_catalog.+) n.failed)::pg_catalog.float8 OPERATOR(pg_catalog./) n.rows::pg_catalog.float8
       END AS progress,
       CASE WHEN t.name IS NULL THEN 'the table has been dropped or has changed owner'
            ELSE COALESCE(c.problem, u.problem) END AS problem,
       CASE WHEN t.name IS NULL THEN '42704' WHEN c.problem IS NOT NULL THEN c.problem_code ELSE u.code END AS problem_code,
       CASE WHEN t.name IS NULL THEN 'Call pinterest_untrack() with the table''s name; if the table has a new owner, the new owner calls pinterest_track().'
            WHEN c.problem IS NOT NULL THEN c.problem_hint ELSE u.hint END AS hint,
       c.next_attempt_at, n.models, c.created_at
FROM pinterest.tracked_column c
-- By the index if the recorded oid is right; otherwise all of pg_trigger is searched.
LEFT JOIN LATERAL (
    SELECT r.oid, pg_catalog.format('%I.%I', s.nspname, r.relname) AS name
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
-- Problems that workers cannot detect: changes that do not reach the queue.
LEFT JOIN LATERAL (
    SELECT f.problem, f.code, f.hint
    FROM (
        SELECT 1, pg_catalog.format('column "%s" of %s has been renamed or dropped: changes are not tracked', n.name, t.name), '42703',
               'Call pinterest_untrack(), then pinterest_track() with the present columns.'
        FROM pg_catalog.unnest(ARRAY[c.source_column, c.embedding_column] OPERATOR(pg_catalog.||) c.key_columns) AS n(name)
        WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_attribute a
            WHERE a.attrelid OPERATOR(pg_catalog.=) t.oid AND a.attname OPERATOR(pg_catalog.=) n.name::pg_catalog.name
              AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped)
        UNION ALL
        SELECT 2, pg_catalog.format('trigger "%s" of %s does not exist: changes are not tracked', n.name, t.name), '55000',
               'Call pinterest_track() with the same arguments: it creates the triggers again and checks every row.'
        FROM (SELECT 'pinterest_track_' OPERATOR(pg_catalog.||) c.tracked_column_id::pg_catalog.text OPERATOR(pg_catalog.||) e.name AS name
              FROM pg_catalog.unnest(ARRAY['_update', '_delete', '_truncate', '_stale']) AS e(name)) AS n
        WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_trigger g
            WHERE g.tgrelid OPERATOR(pg_catalog.=) t.oid AND g.tgname OPERATOR(pg_catalog.=) n.name::pg_catalog.name)
        UNION ALL
        SELECT CASE WHEN g.tgenabled OPERATOR(pg_catalog.=) ANY ('{O,A}'::"char"[]) THEN 4 ELSE 3 END,
               CASE WHEN g.tgenabled OPERATOR(pg_catalog.=) ANY ('{O,A}'::"char"[])
                    THEN pg_catalog.format('rows of %s come from a subscription, for which its triggers do not fire: changes are not tracked', t.name)
                    ELSE pg_catalog.format('trigger "%s" of %s is disabled: changes are not tracked', g.tgname, g.tgrelid::pg_catalog.regclass::pg_catalog.text) END,
               '55000',
               CASE WHEN g.tgenabled OPERATOR(pg_catalog.=) ANY ('{O,A}'::"char"[])
                    THEN 'Call pinterest_track() with the same arguments: it makes them fire always (ALTER TABLE ... ENABLE ALWAYS TRIGGER) and checks every row.'
                    ELSE 'Call pinterest_track() with the same arguments: it creates the triggers again and checks every row.' END
        FROM (SELECT t.oid AS oid UNION SELECT p.relid::pg_catalog.oid FROM pg_catalog.pg_partition_tree(t.oid) AS p) AS p
        -- By the index, regardless of the number of partitions that the planner assumes.
        CROSS JOIN LATERAL (
            SELECT i.tgname, i.tgrelid, i.tgenabled FROM pg_catalog.pg_trigger i
            WHERE i.tgrelid OPERATOR(pg_catalog.=) p.oid
              AND i.tgname OPERATOR(pg_catalog.=) ANY (ARRAY(
                  SELECT ('pinterest_track_' OPERATOR(pg_catalog.||) c.tracked_column_id::pg_catalog.text OPERATOR(pg_catalog.||) e.name)::pg_catalog.name
                  FROM pg_catalog.unnest(ARRAY['', '_update', '_delete', '_truncate', '_stale']) AS e(name)))
            OFFSET 0
        ) AS g
        WHERE g.tgenabled OPERATOR(pg_catalog.<>) 'A'::"char"
          AND (g.tgenabled OPERATOR(pg_catalog.<>) 'O'::"char" OR EXISTS (
              SELECT FROM pg_catalog.pg_subscription_rel sr
              WHERE sr.srrelid OPERATOR(pg_catalog.=) t.oid
                 OR sr.srrelid OPERATOR(pg_catalog.=) ANY (SELECT q.relid FROM pg_catalog.pg_partition_tree(t.oid) AS q)
                 OR sr.srrelid OPERATOR(pg_catalog.=) ANY (SELECT q.relid FROM pg_catalog.pg_partition_ancestors(t.oid) AS q)))
    ) AS f(place, problem, code, hint)
    ORDER BY f.place, f.problem LIMIT 1
) AS u ON t.oid IS NOT NULL
CROSS JOIN LATERAL (
    SELECT pg_catalog.count(*) AS rows,
           pg_catalog.count(*) FILTER (WHERE r.state OPERATOR(pg_catalog.=) 'embedded') AS embedded,
           pg_catalog.count(*) FILTER (WHERE r.state OPERATOR(pg_catalog.=) 'pending') AS pending,
           pg_catalog.count(*) FILTER (WHERE r.state OPERATOR(pg_catalog.=) 'failed') AS failed,
           pg_catalog.array_agg(DISTINCT r.model_id) FILTER (WHERE r.model_id IS NOT NULL) AS models
    FROM pinterest.tracked_row r WHERE r.tracked_column_id OPERATOR(pg_catalog.=) c.tracked_column_id
) AS n
WHERE pinterest.has_rights_of(c.owner)
   OR EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname OPERATOR(pg_catalog.=) CURRENT_USER AND (r.rolsuper OR r.rolbypassrls))
-- Tables that have the triggers without a declaration, as in a copy of the schema alone. They are found through the
-- dependency of the triggers on their function, because pg_trigger has no index for it.
UNION ALL
SELECT NULL::pg_catalog.int8, pg_catalog.format('%I.%I', s.nspname, r.relname), pg_catalog.pg_get_userbyid(r.relowner)::pg_catalog.text,
       NULL, NULL, NULL, NULL, 'problem', NULL, NULL, NULL, NULL, NULL,
       'the table has triggers of pinterest_track() without a declaration in this database: changes are not tracked', '55000',
       'Call pinterest_track() to declare it again, or pinterest_untrack() to drop the triggers.', NULL, NULL, NULL
FROM pg_catalog.pg_depend d
JOIN pg_catalog.pg_trigger g ON g.oid OPERATOR(pg_catalog.=) d.objid
JOIN pg_catalog.pg_class r ON r.oid OPERATOR(pg_catalog.=) g.tgrelid
JOIN pg_catalog.pg_namespace s ON s.oid OPERATOR(pg_catalog.=) r.relnamespace
WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass
  AND d.refobjid OPERATOR(pg_catalog.=) 'pinterest.track_change()'::pg_catalog.regprocedure
  AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_trigger'::pg_catalog.regclass
  AND g.tgparentid OPERATOR(pg_catalog.=) 0::pg_catalog.oid
  AND g.tgname::pg_catalog.text OPERATOR(pg_catalog.~) '^pinterest_track_[0-9]{1,18}$'
  AND NOT EXISTS (
      SELECT FROM pinterest.tracked_column c
      WHERE c.tie::pg_catalog.text OPERATOR(pg_catalog.=) pg_catalog.encode(pg_catalog.substring(g.tgargs, 1, 36), 'escape')
        AND pinterest.owner_oid(c.owner) OPERATOR(pg_catalog.=) r.relowner
        AND (c.table_oid OPERATOR(pg_catalog.=) r.oid OR NOT EXISTS (
            SELECT FROM pg_catalog.pg_trigger o
            WHERE o.tgrelid OPERATOR(pg_catalog.=) c.table_oid AND o.tgname OPERATOR(pg_catalog.=) g.tgname
              AND o.tgfoid OPERATOR(pg_catalog.=) g.tgfoid)))
  AND (pg_catalog.pg_has_role(r.relowner, 'USAGE')
       OR EXISTS (SELECT FROM pg_catalog.pg_roles o WHERE o.rolname OPERATOR(pg_catalog.=) CURRENT_USER AND (o.rolsuper OR o.rolbypassrls)));
COMMENT ON VIEW pinterest.tracked IS 'The tracked columns of your tables: their sources, how many rows are embedded, pending and failed, and the problem that blocks a whole column, if any';
COMMENT ON COLUMN pinterest.tracked."table" IS 'The present name of the table; its name at the declaration if it has been dropped';
COMMENT ON COLUMN pinterest.tracked.state IS 'active, or problem: no row can be processed now, or changes of the table do not reach the queue';
COMMENT ON COLUMN pinterest.tracked.tracked_column_id IS 'NULL: a table that has the triggers and no declaration';
COMMENT ON COLUMN pinterest.tracked.rows IS 'Rows that have a source: the sum of embedded, pending and failed';
COMMENT ON COLUMN pinterest.tracked.progress IS 'Share of the rows that are embedded or failed, 0 to 1';
COMMENT ON COLUMN pinterest.tracked.next_attempt_at IS 'When the workers check again whether the problem persists';
COMMENT ON COLUMN pinterest.tracked.models IS 'The models that made the embeddings in the table, see pinterest.models; vectors of different models cannot be compared';

CREATE VIEW pinterest.tracked_failures WITH (security_barrier) AS
SELECT c.tracked_column_id, pg_catalog.format('%I.%I', c.table_schema, c.table_name) AS "table", c.embedding_column,
       c.key_columns, r.key, r.state, r.reason, r.reason_code, r.attempts, r.next_attempt_at
FROM pinterest.tracked_row r
JOIN pinterest.tracked_column c USING (tracked_column_id)
WHERE r.reason IS NOT NULL
  AND (pinterest.has_rights_of(c.owner)
       OR EXISTS (SELECT FROM pg_catalog.pg_roles s WHERE s.rolname OPERATOR(pg_catalog.=) CURRENT_USER AND (s.rolsuper OR s.rolbypassrls)));
COMMENT ON VIEW pinterest.tracked_failures IS 'Rows of tracked tables that have failed, or whose last attempt failed: the key, the reason, and the number of attempts';
COMMENT ON COLUMN pinterest.tracked_failures."table" IS 'Its name at the declaration';
COMMENT ON COLUMN pinterest.tracked_failures.key IS 'The values of key_columns as text';
COMMENT ON COLUMN pinterest.tracked_failures.state IS 'failed: pinterest_retry_tracked() queues it again; pending: the workers try again at next_attempt_at';
