-- Before security_invoker of Postgres 15 a view runs with its owner's rights, and a superuser's view would show the
-- rows of all owners. So each view compares the owner itself, on every version. Functions in a view run as the role
-- that reads it.

CREATE VIEW pinterest.imports WITH (security_barrier) AS
SELECT i.import_id, i.account_id, a.username, i.board_id, COALESCE(b.name, i.board_reference) AS board,
       CASE WHEN wait.for_access AND i.state OPERATOR(pg_catalog.=) 'queued' THEN 'waiting_access' ELSE i.state END AS state, i.phase,
       CASE WHEN i.state OPERATOR(pg_catalog.=) 'completed' THEN 1.0::pg_catalog.float8
            WHEN i.images_total OPERATOR(pg_catalog.=) 0 THEN 0.0::pg_catalog.float8
            ELSE (i.images_embedded OPERATOR(pg_catalog.+) i.images_reused OPERATOR(pg_catalog.+) i.images_skipped OPERATOR(pg_catalog.+) i.images_failed)::pg_catalog.float8
                 OPERATOR(pg_catalog./) i.images_total::pg_catalog.float8
       END AS progress,
       i.coverage, i.pins_reported, i.pins_unreadable, i.pins_listed, i.pins_new, i.pins_without_image, i.pins_removed,
       i.images_total, i.images_embedded, i.images_reused, i.images_skipped, i.images_failed,
       i.images_total OPERATOR(pg_catalog.-) i.images_embedded OPERATOR(pg_catalog.-) i.images_reused
           OPERATOR(pg_catalog.-) i.images_skipped OPERATOR(pg_catalog.-) i.images_failed AS images_pending,
       CASE WHEN wait.for_access THEN pg_catalog.concat_ws(': ', 'waits until Pinterest grants the app access', p.access_cause)
            WHEN a.identity_due IS NOT NULL AND i.state OPERATOR(pg_catalog.=) ANY (ARRAY['queued', 'waiting_quota', 'waiting_access'])
            THEN 'waits until Pinterest reports the account''s user' ELSE i.reason
       END AS reason,
       CASE WHEN wait.for_access THEN '55000' ELSE i.error_code END AS error_code,
       CASE WHEN wait.for_access THEN 'Pinterest has not granted the app access to its API, or has withdrawn it: see the app''s page at developers.pinterest.com. Imports that wait for it continue by themselves once it is granted.'
            ELSE i.hint
       END AS hint,
       i.attempts, CASE WHEN wait.for_access THEN GREATEST(i.wake_at, p.access_probe_at) ELSE i.wake_at END AS wake_at, i.created_at, i.started_at, i.finished_at, i.model_id
FROM pinterest.import i
JOIN pinterest.account a USING (account_id)
LEFT JOIN pinterest.app p ON p.app_id OPERATOR(pg_catalog.=) a.app_id
LEFT JOIN pinterest.board b ON b.account_id OPERATOR(pg_catalog.=) i.account_id AND b.board_id OPERATOR(pg_catalog.=) i.board_id
CROSS JOIN LATERAL (SELECT p.access_refused_since IS NOT NULL
    AND i.state OPERATOR(pg_catalog.=) ANY (ARRAY['queued', 'waiting_quota', 'waiting_access']) AS for_access) AS wait
WHERE pinterest.is_owner(a.owner)
   OR EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname OPERATOR(pg_catalog.=) CURRENT_USER AND (r.rolsuper OR r.rolbypassrls));
COMMENT ON VIEW pinterest.imports IS 'Imports of your accounts: state, phase, counts, progress from 0 to 1, and the reason if an import waits or has failed';
COMMENT ON COLUMN pinterest.imports.state IS 'queued, running, waiting_quota, waiting_access (Pinterest has not granted the app access, or refuses without a reason; continues automatically), needs_reauth, completed, failed or cancelled';
COMMENT ON COLUMN pinterest.imports.phase IS 'resolving the board, listing its pins, working on images, or finished';
COMMENT ON COLUMN pinterest.imports.progress IS 'Share of the images found so far that are done, 0 to 1';
COMMENT ON COLUMN pinterest.imports.coverage IS 'What the listing covered: whole, until_known (all new pins), until_limit (Pinterest lists at most 100,000 pins), incomplete (fewer pins were listed than Pinterest counts, or more pins are missing than one listing can confirm: pins stay, and the next import lists again), sample (max_images), sections, unchanged (nothing to list), or stored (pinterest_reembed_board() lists nothing)';
COMMENT ON COLUMN pinterest.imports.pins_new IS 'Of the listed pins, those that had not been listed on this board before';
COMMENT ON COLUMN pinterest.imports.pins_reported IS 'Pins on the board as Pinterest counts them';
COMMENT ON COLUMN pinterest.imports.pins_unreadable IS 'Listed items that could not be read; if there are any, no pin is marked as removed';
COMMENT ON COLUMN pinterest.imports.images_reused IS 'Images that needed neither a download nor inference, because their embedding existed';
COMMENT ON COLUMN pinterest.imports.wake_at IS 'When a queued or waiting import continues';
COMMENT ON COLUMN pinterest.imports.model_id IS 'The model that embeds its images, see pinterest.models';

CREATE VIEW pinterest.accounts WITH (security_barrier) AS
SELECT a.account_id, a.owner::pg_catalog.text AS owner, p.name AS app, a.username, a.status,
       CASE WHEN pinterest.owner_is_gone(a.owner) THEN pg_catalog.concat_ws('; ', 'owner_gone: its owner is no longer a role', COALESCE(a.cause, no_access.cause, p.cause))
            ELSE COALESCE(a.cause, no_access.cause, p.cause) END AS cause,
       CASE WHEN lapse.at OPERATOR(pg_catalog.<) pg_catalog.clock_timestamp() THEN 'the tokens have expired'
            WHEN lapse.at OPERATOR(pg_catalog.<) (pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) LEAST('7 days'::pg_catalog.interval, (lapse.at OPERATOR(pg_catalog.-) t.refreshed_at) OPERATOR(pg_catalog./) 4::pg_catalog.float8))
            THEN 'cannot be renewed after ' OPERATOR(pg_catalog.||) pg_catalog.date_trunc('second', lapse.at)::pg_catalog.text
       END AS warning,
       a.scopes,
       CASE WHEN pg_catalog.cardinality(a.scopes) OPERATOR(pg_catalog.=) 0 THEN NULL
            ELSE ARRAY(SELECT r.scope FROM pg_catalog.unnest(a.scopes_requested) AS r(scope) WHERE r.scope OPERATOR(pg_catalog.<>) ALL (a.scopes))
       END AS scopes_missing,
       t.access_expires_at, t.refresh_expires_at, t.refreshed_at,
       CASE WHEN t.refresh_token IS NULL OR a.app_id IS NULL OR a.status OPERATOR(pg_catalog.=) 'needs_reauth' THEN NULL
            ELSE GREATEST(t.refresh_after, p.paused_until)
       END AS next_refresh_at,
       a.paused_at, a.connected_at
FROM pinterest.account a
LEFT JOIN pinterest.app p USING (app_id)
LEFT JOIN pinterest.token t USING (account_id)
LEFT JOIN LATERAL (SELECT 'no_access: ' OPERATOR(pg_catalog.||) p.access_cause AS cause) AS no_access ON p.access_refused_since IS NOT NULL
LEFT JOIN LATERAL (SELECT CASE WHEN t.refresh_token IS NULL OR a.app_id IS NULL THEN t.access_expires_at ELSE t.refresh_expires_at END AS at) AS lapse ON true
WHERE pinterest.is_owner(a.owner)
   OR EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname OPERATOR(pg_catalog.=) CURRENT_USER AND (r.rolsuper OR r.rolbypassrls));
COMMENT ON VIEW pinterest.accounts IS 'Your accounts: status with cause, scopes granted and missing, expiry of both tokens, last and next refresh';
COMMENT ON COLUMN pinterest.accounts.status IS 'connected, refresh_uncertain (an answer was lost; the next refresh resolves it), needs_reauth (its user has to connect again) or disconnected';
COMMENT ON COLUMN pinterest.accounts.owner IS 'The role that owns it; "name (dropped oid)" if it has been dropped, "name (missing)" if no role of that name existed when a dump was restored: see pinterest_reassign()';
COMMENT ON COLUMN pinterest.accounts.cause IS 'Why it is not connected, or why its app is paused; the first word is no_access if Pinterest has not granted the app access, rejected, expired, lost_response or unreadable if its user has to connect again, owner_gone if its owner is no longer a role';
COMMENT ON COLUMN pinterest.accounts.warning IS 'Set if the tokens can soon not be renewed any more: ask the user to connect again';
COMMENT ON COLUMN pinterest.accounts.scopes IS 'All scopes that the user has ever granted the app, as Pinterest reports them; empty: not known';
COMMENT ON COLUMN pinterest.accounts.scopes_missing IS 'Scopes that were requested and not granted; NULL: not known';
COMMENT ON COLUMN pinterest.accounts.refresh_expires_at IS 'Extended by every refresh; NULL: no refresh token, or not reported by Pinterest';
COMMENT ON COLUMN pinterest.accounts.refreshed_at IS 'When the present tokens were granted';
COMMENT ON COLUMN pinterest.accounts.next_refresh_at IS 'When a worker renews the tokens; NULL: they cannot be renewed';

CREATE VIEW pinterest.import_report WITH (security_barrier) AS
SELECT i.import_id, i.account_id, COALESCE(b.name, i.board_reference) AS board, line.item, line.outcome, line.reason, line.count
FROM pinterest.import i
JOIN pinterest.account a USING (account_id)
LEFT JOIN pinterest.board b ON b.account_id OPERATOR(pg_catalog.=) i.account_id AND b.board_id OPERATOR(pg_catalog.=) i.board_id
CROSS JOIN LATERAL (
    SELECT 1 AS place, 'pin' AS item, 'reported' AS outcome, NULL::pg_catalog.text AS reason, i.pins_reported::pg_catalog.int8 AS count
    UNION ALL SELECT 2, 'pin', 'listed', i.coverage, i.pins_listed
    UNION ALL SELECT 3, 'pin', o.outcome, NULLIF(o.reason, ''), o.count FROM pinterest.import_outcome o
        WHERE o.account_id OPERATOR(pg_catalog.=) i.account_id AND o.import_id OPERATOR(pg_catalog.=) i.import_id AND o.item OPERATOR(pg_catalog.=) 'pin'
    UNION ALL SELECT 4, 'pin', 'removed', NULL, i.pins_removed WHERE i.pins_removed OPERATOR(pg_catalog.>) 0
    UNION ALL SELECT 5, 'image', 'found', NULL, i.images_total
    UNION ALL SELECT 6, 'image', o.outcome, NULLIF(o.reason, ''), o.count FROM pinterest.import_outcome o
        WHERE o.account_id OPERATOR(pg_catalog.=) i.account_id AND o.import_id OPERATOR(pg_catalog.=) i.import_id AND o.item OPERATOR(pg_catalog.=) 'image'
    UNION ALL SELECT 7, 'image', 'pending', NULL, p.pending FROM (
        SELECT i.images_total OPERATOR(pg_catalog.-) i.images_embedded OPERATOR(pg_catalog.-) i.images_reused
            OPERATOR(pg_catalog.-) i.images_skipped OPERATOR(pg_catalog.-) i.images_failed AS pending) AS p
        WHERE p.pending OPERATOR(pg_catalog.>) 0
) AS line
WHERE pinterest.is_owner(a.owner)
   OR EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname OPERATOR(pg_catalog.=) CURRENT_USER AND (r.rolsuper OR r.rolbypassrls))
ORDER BY i.import_id, line.place, line.outcome, line.count DESC;
COMMENT ON VIEW pinterest.import_report IS 'The report of each import: the pins that Pinterest reported and listed, and the result for every listed pin and every image found, with the reason. Listed pins are the sum of with_images, without_image, skipped and left_out; found images the sum of embedded, reused, skipped, failed and pending; pins disclosed as made with AI, unreadable items, doubtful pins and missing images are counted separately';

CREATE VIEW pinterest.quota WITH (security_barrier) AS
SELECT p.name AS app, a.account_id, a.username, q.category, q.request_limit,
       CASE WHEN q.reset_at OPERATOR(pg_catalog.<=) pg_catalog.clock_timestamp() THEN q.request_limit ELSE GREATEST(q.remaining, 0) END AS remaining,
       q.window_length, q.reset_at, q.observed_at,
       CASE WHEN q.pace OPERATOR(pg_catalog.>) '0'::pg_catalog.interval THEN q.pace END AS pace
FROM pinterest.quota_ledger q
LEFT JOIN pinterest.account a ON a.account_id OPERATOR(pg_catalog.=) q.account_id
LEFT JOIN pinterest.app p ON p.app_id OPERATOR(pg_catalog.=) COALESCE(q.app_id, a.app_id)
WHERE pinterest.is_owner(COALESCE(a.owner, p.owner))
   OR EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname OPERATOR(pg_catalog.=) CURRENT_USER AND (r.rolsuper OR r.rolbypassrls));
COMMENT ON VIEW pinterest.quota IS 'Pinterest''s request quota as last observed: one row per app with trial access, one row per account with standard access';
COMMENT ON COLUMN pinterest.quota.request_limit IS 'Requests that the policy of the category allows in each window';
COMMENT ON COLUMN pinterest.quota.pace IS 'The minimum time between two requests, if Pinterest sends a policy of a few seconds beside that of the category';
COMMENT ON COLUMN pinterest.quota.observed_at IS 'When an answer from Pinterest last stated these values; NULL: they are the documented ones';

CREATE VIEW pinterest.models WITH (security_barrier) AS
SELECT m.model_id, m.name, m.precision, m.preprocessing, m.weights_sha256, m.dimension,
       m.used_at OPERATOR(pg_catalog.=) pg_catalog.max(m.used_at) OVER () AS current,
       COALESCE(n.images, 0::pg_catalog.int8) AS images,
       m.used_at, m.created_at
FROM pinterest.model m
LEFT JOIN (
    -- By the account, not by the owner of the image: the index that serves this has no owner. Not joined, because images may
    -- be distributed, and accounts are not.
    SELECT i.model_id, pg_catalog.count(*) AS images FROM pinterest.pin_image i
    WHERE i.model_id IS NOT NULL AND i.account_id IN (
        SELECT a.account_id FROM pinterest.account a
        WHERE pinterest.is_owner(a.owner)
           OR EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname OPERATOR(pg_catalog.=) CURRENT_USER AND (r.rolsuper OR r.rolbypassrls)))
    GROUP BY i.model_id
) AS n ON n.model_id OPERATOR(pg_catalog.=) m.model_id;
COMMENT ON VIEW pinterest.models IS 'The models that have made embeddings, and how many of your images each has';
COMMENT ON COLUMN pinterest.models.current IS 'The model of the last import; pinterest_doctor() reports the model that the embedder runs now';
COMMENT ON COLUMN pinterest.models.images IS 'Images of your accounts with an embedding that this model made; pinterest_reembed_board() embeds those of a board again with the present model';
COMMENT ON COLUMN pinterest.models.used_at IS 'When an import last began to work with it';
