-- Checks whether the pgvector of this server is suitable for pg_pinterest: version 0.8 or newer (iterative index scans),
-- a vector(512) column with a correct round trip, cosine distance and an HNSW index.
--
--   psql -X -v ON_ERROR_STOP=1 -f pgvector_setup/check.sql DATABASE
--
-- Everything runs in a transaction that is rolled back.
\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;
BEGIN;

CREATE EXTENSION IF NOT EXISTS vector;

DO $check$
DECLARE
    installed int[] := (SELECT string_to_array(regexp_replace(extversion, '[^0-9.].*', ''), '.')::int[]
                          FROM pg_catalog.pg_extension WHERE extname = 'vector');
BEGIN
    IF installed < '{0,8}' THEN
        RAISE EXCEPTION 'pgvector is %, pg_pinterest needs 0.8 or newer', array_to_string(installed, '.')
            USING ERRCODE = 'feature_not_supported',
                  HINT = 'Run pgvector_setup/install, then ALTER EXTENSION vector UPDATE.';
    END IF;
END
$check$;

CREATE TEMPORARY TABLE embedding_check (id int, embedding vector(512));
INSERT INTO embedding_check
SELECT id, array_agg(CASE WHEN position = id THEN 1 ELSE 0 END ORDER BY position)::vector(512)
  FROM generate_series(1, 512) AS id, generate_series(1, 512) AS position
 GROUP BY id;
CREATE INDEX ON embedding_check USING hnsw (embedding vector_cosine_ops);
SET LOCAL enable_seqscan = off;

DO $check$
DECLARE
    probe vector(512) := (SELECT embedding FROM embedding_check WHERE id = 7);
    nearest int;
    distance float8;
    plan text := '';
    line text;
BEGIN
    IF probe::text::vector(512) <> probe OR (probe <=> probe) > 1e-6 THEN
        RAISE EXCEPTION 'a vector(512) does not survive a round trip through text';
    END IF;
    SELECT id, embedding <=> probe INTO nearest, distance
      FROM embedding_check ORDER BY embedding <=> probe LIMIT 1;
    IF nearest <> 7 OR distance > 1e-6 THEN
        RAISE EXCEPTION 'the nearest neighbour of row 7 is row % at distance %', nearest, distance;
    END IF;
    FOR line IN EXECUTE 'EXPLAIN SELECT id FROM embedding_check ORDER BY embedding <=> $1 LIMIT 1' USING probe LOOP
        plan := plan || line || E'\n';
    END LOOP;
    IF plan !~ 'embedding_check_embedding_idx' THEN
        RAISE EXCEPTION 'ordering by cosine distance does not use the HNSW index: %', plan;
    END IF;
END
$check$;

SELECT 'pgvector ' || extversion || ': vector(512), <=> and hnsw work' AS pgvector
  FROM pg_catalog.pg_extension WHERE extname = 'vector' \gset
\echo :pgvector
ROLLBACK;
