-- Functions in SQL. Their bodies are parsed once, by the installation: a caller's search_path cannot change which
-- operators and aggregates they use.

CREATE FUNCTION pinterest_recommend(
    board text, "table" regclass, k integer DEFAULT 10, diversity double precision DEFAULT 0.3, "only" text DEFAULT NULL,
    explain boolean DEFAULT false, not_boards text[] DEFAULT NULL, key text DEFAULT NULL, embedding text DEFAULT NULL,
    account_id bigint DEFAULT NULL, contrasts text[] DEFAULT NULL, all_themes boolean DEFAULT false,
    skip_ai boolean DEFAULT false)
RETURNS TABLE (
    rank integer, key text, score double precision, distance double precision, theme integer, because jsonb)
LANGUAGE sql STABLE PARALLEL RESTRICTED
BEGIN ATOMIC
    SELECT * FROM pinterest_recommend(
        CASE WHEN $1 IS NOT NULL THEN ARRAY[$1] END, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13);
END;
