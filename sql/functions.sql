-- Functions in SQL. Their bodies are parsed once, by the installation: a caller's search_path cannot change which
-- operators and aggregates they use.

CREATE FUNCTION pinterest.board_mean(account_id bigint, board_id text, OUT mean vector, OUT images bigint, OUT models bigint)
RETURNS record LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT avg(i.embedding), count(*), count(DISTINCT i.model_id)
    FROM pinterest.pin p
    JOIN pinterest.pin_image i ON i.account_id = p.account_id AND i.pin_id = p.pin_id
    WHERE p.account_id = board_mean.account_id AND p.board_id = board_mean.board_id
      AND p.removed_at IS NULL AND i.state = 'embedded';
END;

CREATE FUNCTION pinterest.nearest_pins(
    to_embedding vector, at_most integer, of_account bigint, of_board text, of_section text, skip_ai boolean,
    OUT account_id bigint, OUT board_id text, OUT board text, OUT pin_id text, OUT "position" integer, OUT title text,
    OUT image_url text, OUT distance double precision)
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT n.account_id, p.board_id, b.name, n.pin_id, n.position, p.title, i.candidates -> 0 ->> 'url', n.distance
    FROM (
        SELECT each_pin.account_id, each_pin.pin_id, each_pin.position, each_pin.distance
        FROM (
            SELECT DISTINCT ON (i.account_id, i.pin_id) i.account_id, i.pin_id, i.position, i.embedding <=> $1 AS distance
            FROM pinterest.pin p
            JOIN pinterest.pin_image i ON i.account_id = p.account_id AND i.pin_id = p.pin_id
            WHERE ($3 IS NULL OR p.account_id = $3) AND ($4 IS NULL OR p.board_id = $4)
              AND ($5 IS NULL OR p.board_section_id = $5) AND p.removed_at IS NULL AND i.state = 'embedded'
              AND NOT (p.is_ai AND $6)
            ORDER BY i.account_id, i.pin_id, i.embedding <=> $1, i.position
        ) AS each_pin
        ORDER BY each_pin.distance, each_pin.account_id, each_pin.pin_id LIMIT $2
    ) AS n
    JOIN pinterest.pin p ON p.account_id = n.account_id AND p.pin_id = n.pin_id
    JOIN pinterest.pin_image i ON i.account_id = n.account_id AND i.pin_id = n.pin_id AND i.position = n.position
    JOIN pinterest.board b ON b.account_id = p.account_id AND b.board_id = p.board_id;
END;

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
