-- Functions that are SQL through and through. Their bodies are parsed here, once, with the operators and aggregates of
-- this moment: no search_path of a caller changes them.

CREATE FUNCTION pinterest.board_mean(account_id bigint, board_id text, OUT mean vector, OUT images bigint, OUT models bigint)
RETURNS record LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT avg(i.embedding), count(*), count(DISTINCT i.model_id)
    FROM pinterest.pin p
    JOIN pinterest.pin_image i ON i.account_id = p.account_id AND i.pin_id = p.pin_id
    WHERE p.account_id = board_mean.account_id AND p.board_id = board_mean.board_id
      AND p.removed_at IS NULL AND i.state = 'embedded';
END;
COMMENT ON FUNCTION pinterest.board_mean(bigint, text) IS
    'Internal: mean of a board''s image embeddings, their number, and the number of models that made them';
