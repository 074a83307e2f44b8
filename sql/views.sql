-- Views run with their owner's rights before Postgres 15 has security_invoker, and a superuser's view shows everybody's
-- rows. So each compares the owner by itself, on every version.

CREATE VIEW pinterest.imports WITH (security_barrier) AS
SELECT i.import_id, i.account_id, a.username, i.board_id, COALESCE(b.name, i.board_reference) AS board,
       i.state, i.phase,
       CASE WHEN i.state OPERATOR(pg_catalog.=) 'completed' THEN 1.0::pg_catalog.float8
            WHEN i.images_total OPERATOR(pg_catalog.=) 0 THEN 0.0::pg_catalog.float8
            ELSE (i.images_embedded OPERATOR(pg_catalog.+) i.images_reused OPERATOR(pg_catalog.+) i.images_skipped OPERATOR(pg_catalog.+) i.images_failed)::pg_catalog.float8
                 OPERATOR(pg_catalog./) i.images_total::pg_catalog.float8
       END AS progress,
       i.pins_reported, i.pins_listed, i.pins_without_image, i.pins_removed,
       i.images_total, i.images_embedded, i.images_reused, i.images_skipped, i.images_failed,
       i.images_total OPERATOR(pg_catalog.-) i.images_embedded OPERATOR(pg_catalog.-) i.images_reused
           OPERATOR(pg_catalog.-) i.images_skipped OPERATOR(pg_catalog.-) i.images_failed AS images_pending,
       i.reason, i.error_code, i.hint, i.attempts, i.wake_at, i.created_at, i.started_at, i.finished_at
FROM pinterest.import i
JOIN pinterest.account a USING (account_id)
LEFT JOIN pinterest.board b ON b.account_id OPERATOR(pg_catalog.=) i.account_id AND b.board_id OPERATOR(pg_catalog.=) i.board_id
WHERE a.owner OPERATOR(pg_catalog.=) CURRENT_USER
   OR EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname OPERATOR(pg_catalog.=) CURRENT_USER AND (r.rolsuper OR r.rolbypassrls));
COMMENT ON VIEW pinterest.imports IS 'Imports of your accounts: state, phase, counts, progress from 0 to 1, and the reason where one stopped';
COMMENT ON COLUMN pinterest.imports.state IS 'queued, running, waiting_quota, needs_reauth, completed, failed or cancelled';
COMMENT ON COLUMN pinterest.imports.phase IS 'resolving the board, listing its pins, working on images, or finished';
COMMENT ON COLUMN pinterest.imports.progress IS 'Share of the images found so far that are done, 0 to 1';
COMMENT ON COLUMN pinterest.imports.pins_reported IS 'Pins on the board as Pinterest counts them';
COMMENT ON COLUMN pinterest.imports.images_reused IS 'Images whose embedding stood already: no download, no inference';
COMMENT ON COLUMN pinterest.imports.wake_at IS 'When a queued or waiting import goes on';

CREATE VIEW pinterest.accounts WITH (security_barrier) AS
SELECT a.account_id, a.owner, p.name AS app, a.username, a.status, a.cause, a.scopes,
       t.access_expires_at, t.refresh_expires_at, t.refreshed_at,
       CASE WHEN t.refresh_token IS NULL OR a.app_id IS NULL THEN NULL ELSE t.refresh_after END AS next_refresh_at,
       a.connected_at
FROM pinterest.account a
LEFT JOIN pinterest.app p USING (app_id)
LEFT JOIN pinterest.token t USING (account_id)
WHERE a.owner OPERATOR(pg_catalog.=) CURRENT_USER
   OR EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname OPERATOR(pg_catalog.=) CURRENT_USER AND (r.rolsuper OR r.rolbypassrls));
COMMENT ON VIEW pinterest.accounts IS 'Your connected accounts: status, granted scopes, expiry of both tokens, next refresh';
