\echo Use "ALTER EXTENSION pg_pinterest UPDATE TO '0.1.0'" to load this file. \quit

-- The objects of this version need its library. If it is not loaded, nothing is changed. The declaration of a function that
-- every version has loads the library, wherever it is.
CREATE FUNCTION @extschema@.pinterest_load_library() RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'pinterest_grant_wrapper';
DROP FUNCTION @extschema@.pinterest_load_library();
DO $$
DECLARE
    needed CONSTANT pg_catalog.text := '0.1.0';
    loaded CONSTANT pg_catalog.text := pg_catalog.current_setting('pinterest.library_version', true);
BEGIN
    IF loaded IS NULL OR pg_catalog.string_to_array(pg_catalog.substring(loaded, '^[0-9.]*[0-9]'), '.')::pg_catalog.int4[]
        OPERATOR(pg_catalog.<) pg_catalog.string_to_array(pg_catalog.substring(needed, '^[0-9.]*[0-9]'), '.')::pg_catalog.int4[]
    THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = pg_catalog.format('the SQL objects of version %s need its library, and this session has loaded %s',
                needed, COALESCE(loaded, 'an older one')),
            HINT = 'Install the new files. If pg_pinterest is in shared_preload_libraries, restart the server, otherwise '
                'connect again. Then run ALTER EXTENSION pg_pinterest UPDATE.';
    END IF;
END
$$;

-- Before all other tables, as sessions do: until the end, no account changes its owner, whom the rows are given to below.
LOCK TABLE pinterest.account IN SHARE ROW EXCLUSIVE MODE;

-- The objects of the version before. To the blocks "New objects" below, the others are new. The setting ends with this script.
SELECT pg_catalog.set_config('pg_pinterest.members_before',
    pg_catalog.string_agg(pg_catalog.format('%s/%s', d.classid, d.objid), ' '), true)
FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON d.refobjid OPERATOR(pg_catalog.=) e.oid
WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass
  AND d.deptype OPERATOR(pg_catalog.=) 'e' AND e.extname OPERATOR(pg_catalog.=) 'pg_pinterest';

-- Thumbnails. Dumps of 0.0.1 have to be restored, so its columns keep their types.
ALTER TABLE pinterest.board ADD COLUMN sync_keeps_thumbnails pg_catalog.bool NOT NULL DEFAULT false;
ALTER TABLE pinterest.pin_image ADD COLUMN thumbnail pg_catalog.bytea;
ALTER TABLE pinterest.import ADD COLUMN keep_thumbnails pg_catalog.bool NOT NULL DEFAULT false;
COMMENT ON COLUMN pinterest.board.sync_keeps_images IS 'keep_images of the import that set sync_every was originals, and so is that of the imports that follow';
COMMENT ON COLUMN pinterest.board.sync_keeps_thumbnails IS 'keep_images of the import that set sync_every was thumbnails or originals, and so is that of the imports that follow';
COMMENT ON COLUMN pinterest.pin_image.candidates IS 'URLs that Pinterest sent for this image, the one to show first: [{"size", "url", "cropped", "width", "height"}]; pinterest.image_size decides which is downloaded';
COMMENT ON COLUMN pinterest.pin_image.image IS 'The downloaded bytes, stored only if keep_images of an import was originals';
COMMENT ON COLUMN pinterest.pin_image.thumbnail IS 'A JPEG of at most 320 x 320 pixels and 64 kB, made by the embedder and stored only if keep_images of an import was thumbnails or originals; empty if none can be made of the image';
COMMENT ON COLUMN pinterest.pin_image.stale IS 'Embedding, bytes and thumbnail are those of the previous image: the listing has a new one, which has yet to be downloaded and embedded';
COMMENT ON COLUMN pinterest.import.keep_images IS 'keep_images was originals: the downloaded bytes are stored';
COMMENT ON COLUMN pinterest.import.keep_thumbnails IS 'keep_images was thumbnails or originals: thumbnails are stored. An import of version 0.0.1 with keep_images stores them too';

CREATE FUNCTION pinterest_import_board(
    board pg_catalog.text,
    account_id pg_catalog.int8 DEFAULT NULL,
    keep_images pg_catalog.text DEFAULT 'none',
    sections pg_catalog.text[] DEFAULT NULL,
    max_images pg_catalog.int4 DEFAULT NULL,
    sync_every pg_catalog.interval DEFAULT NULL,
    skip_ai pg_catalog.bool DEFAULT false
) RETURNS pg_catalog.int8
LANGUAGE c
AS 'MODULE_PATHNAME', 'pinterest_import_board_keeping_wrapper';

-- What workers and views read of many accounts: see sql/tables.sql.
ALTER TABLE pinterest.token ADD COLUMN dormant_generation pg_catalog.int8;
COMMENT ON COLUMN pinterest.token.dormant_generation IS 'The generation with which the account became needs_reauth: no worker refreshes it or warns of its expiry';
UPDATE pinterest.token t SET dormant_generation = t.generation FROM pinterest.account a
    WHERE a.account_id OPERATOR(pg_catalog.=) t.account_id AND a.status OPERATOR(pg_catalog.=) 'needs_reauth';
CREATE INDEX token_refresh ON pinterest.token (refresh_after) WHERE refresh_token IS NOT NULL AND dormant_generation IS DISTINCT FROM generation;
CREATE INDEX token_lapse ON pinterest.token (refresh_expires_at) WHERE refresh_token IS NOT NULL AND dormant_generation IS DISTINCT FROM generation;
CREATE INDEX token_lapse_of_access ON pinterest.token (access_expires_at) WHERE refresh_token IS NULL AND dormant_generation IS DISTINCT FROM generation;
CREATE INDEX token_attempt ON pinterest.token (account_id) WHERE attempt_by IS NOT NULL;
CREATE INDEX token_generations ON pinterest.token ((GREATEST(generation, consent)));
CREATE INDEX board_confirmed ON pinterest.board ((COALESCE(confirmed_at, '-infinity')));
CREATE INDEX pin_image_model ON pinterest.pin_image (model_id, account_id) WHERE model_id IS NOT NULL;
CREATE INDEX quota_ledger_account ON pinterest.quota_ledger (account_id) WHERE account_id IS NOT NULL;
ALTER POLICY own ON pinterest.quota_ledger
    USING (EXISTS (SELECT FROM pinterest.app p WHERE p.app_id OPERATOR(pg_catalog.=) quota_ledger.app_id)
        OR EXISTS (SELECT FROM pinterest.account a WHERE a.account_id OPERATOR(pg_catalog.=) quota_ledger.account_id));
CREATE INDEX import_finished ON pinterest.import (finished_at) WHERE finished_at IS NOT NULL;
-- The owner of each imported row: see sql/tables.sql. The rows are rewritten, which takes the time of an update of all of them.
ALTER TABLE pinterest.board ADD COLUMN owner pinterest.role_owner NOT NULL DEFAULT 'restored (missing)';
COMMENT ON COLUMN pinterest.board.owner IS 'The owner of the account, who sees the row';
UPDATE pinterest.board r SET owner = a.owner FROM pinterest.account a WHERE a.account_id OPERATOR(pg_catalog.=) r.account_id;
ALTER POLICY own ON pinterest.board USING (pinterest.is_owner(owner));
ALTER TABLE pinterest.board_section ADD COLUMN owner pinterest.role_owner NOT NULL DEFAULT 'restored (missing)';
COMMENT ON COLUMN pinterest.board_section.owner IS 'The owner of the account, who sees the row';
UPDATE pinterest.board_section r SET owner = a.owner FROM pinterest.account a WHERE a.account_id OPERATOR(pg_catalog.=) r.account_id;
ALTER POLICY own ON pinterest.board_section USING (pinterest.is_owner(owner));
ALTER TABLE pinterest.pin ADD COLUMN owner pinterest.role_owner NOT NULL DEFAULT 'restored (missing)';
COMMENT ON COLUMN pinterest.pin.owner IS 'The owner of the account, who sees the row';
UPDATE pinterest.pin r SET owner = a.owner FROM pinterest.account a WHERE a.account_id OPERATOR(pg_catalog.=) r.account_id;
ALTER POLICY own ON pinterest.pin USING (pinterest.is_owner(owner));
ALTER TABLE pinterest.pin_image ADD COLUMN owner pinterest.role_owner NOT NULL DEFAULT 'restored (missing)';
COMMENT ON COLUMN pinterest.pin_image.owner IS 'The owner of the account, who sees the row';
UPDATE pinterest.pin_image r SET owner = a.owner FROM pinterest.account a WHERE a.account_id OPERATOR(pg_catalog.=) r.account_id;
ALTER POLICY own ON pinterest.pin_image USING (pinterest.is_owner(owner));
CREATE OR REPLACE VIEW pinterest.models WITH (security_barrier) AS
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
ALTER POLICY own ON pinterest.import
    USING (EXISTS (SELECT FROM pinterest.account a WHERE a.account_id OPERATOR(pg_catalog.=) import.account_id));
ALTER POLICY own ON pinterest.import_outcome
    USING (EXISTS (SELECT FROM pinterest.account a WHERE a.account_id OPERATOR(pg_catalog.=) import_outcome.account_id));

-- Statistics.
CREATE FUNCTION @extschema@.pinterest_stat_reset(view text DEFAULT NULL) RETURNS void
LANGUAGE c PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'pinterest_stat_reset_wrapper';

CREATE FUNCTION @extschema@.pinterest_distribute(shards integer DEFAULT NULL) RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'pinterest_distribute_wrapper';

CREATE FUNCTION @extschema@.pinterest_undistribute() RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'pinterest_undistribute_wrapper';

-- Cumulative statistics. The functions read shared memory, and the tables as pinterest_worker, so they count the rows of all owners;
-- only level admin and pg_monitor may call them. See docs/statistics.md.

CREATE FUNCTION pinterest.read_stat_imports(
    OUT queued bigint, OUT started bigint, OUT completed bigint, OUT failed bigint, OUT cancelled bigint, OUT unchanged bigint,
    OUT waits_quota bigint, OUT waits_access bigint, OUT waits_reauth bigint, OUT pins_listed bigint, OUT import_time double precision,
    OUT imports_queued bigint, OUT imports_running bigint, OUT imports_waiting bigint, OUT oldest_queued_age interval,
    OUT oldest_sync_age interval, OUT stats_reset timestamptz)
RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 1 AS 'MODULE_PATHNAME', 'read_stat_imports_wrapper';

CREATE FUNCTION pinterest.read_stat_images(
    OUT source text, OUT embedded bigint, OUT reused bigint, OUT skipped bigint, OUT failed bigint, OUT downloads bigint,
    OUT bytes_downloaded bigint, OUT download_time double precision, OUT embed_time double precision, OUT pending bigint,
    OUT stats_reset timestamptz)
RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 3 AS 'MODULE_PATHNAME', 'read_stat_images_wrapper';

CREATE FUNCTION pinterest.read_stat_requests(
    OUT host text, OUT status_class text, OUT requests bigint, OUT retries bigint, OUT bytes_received bigint,
    OUT request_time double precision, OUT stats_reset timestamptz)
RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 10 AS 'MODULE_PATHNAME', 'read_stat_requests_wrapper';

CREATE FUNCTION pinterest.read_stat_embedder(
    OUT images bigint, OUT texts bigint, OUT batches bigint, OUT queue_depth bigint, OUT queue_wait_time double precision,
    OUT batch_time double precision, OUT busy_rejections bigint, OUT starts bigint, OUT deaths bigint, OUT loaded boolean,
    OUT model text, OUT "precision" text, OUT untrained boolean, OUT stats_reset timestamptz)
RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 1 AS 'MODULE_PATHNAME', 'read_stat_embedder_wrapper';

CREATE FUNCTION pinterest.read_stat_embedders(
    OUT embedder text, OUT address text, OUT state text, OUT problem text, OUT "precision" text, OUT kernels text,
    OUT images bigint, OUT texts bigint, OUT failures bigint, OUT in_flight bigint, OUT images_per_second double precision,
    OUT round_trip_time double precision)
RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 4 AS 'MODULE_PATHNAME', 'read_stat_embedders_wrapper';

CREATE FUNCTION pinterest.read_stat_refreshes(
    OUT succeeded bigint, OUT failed bigint, OUT rejected bigint, OUT last_success timestamptz, OUT last_failure timestamptz,
    OUT accounts_connected bigint, OUT accounts_needs_reauth bigint, OUT accounts_uncertain bigint, OUT next_expiry timestamptz,
    OUT stats_reset timestamptz)
RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 1 AS 'MODULE_PATHNAME', 'read_stat_refreshes_wrapper';

CREATE FUNCTION pinterest.read_stat_tracked(
    OUT tracked_column_id bigint, OUT table_oid oid, OUT embedding_column text, OUT embedded bigint, OUT failed bigint,
    OUT skipped bigint, OUT retries bigint, OUT pending bigint, OUT failed_rows bigint, OUT oldest_pending_age interval,
    OUT stats_reset timestamptz)
RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 10 AS 'MODULE_PATHNAME', 'read_stat_tracked_wrapper';

CREATE FUNCTION pinterest.read_stat_workers(
    OUT workers bigint, OUT tracking_workers bigint, OUT paused_since timestamptz, OUT slots bigint, OUT slots_used bigint,
    OUT last_refusal timestamptz)
RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 1 AS 'MODULE_PATHNAME', 'read_stat_workers_wrapper';

CREATE INDEX tracked_row_failed ON pinterest.tracked_row (tracked_column_id) WHERE state OPERATOR(pg_catalog.=) 'failed';

CREATE VIEW pinterest.stat_imports AS
SELECT s.queued, s.started, s.completed, s.failed, s.cancelled, s.unchanged, s.waits_quota, s.waits_access, s.waits_reauth,
       s.pins_listed, s.import_time, s.imports_queued, s.imports_running, s.imports_waiting, s.oldest_queued_age, s.oldest_sync_age,
       s.stats_reset
FROM pinterest.read_stat_imports() s;
COMMENT ON VIEW pinterest.stat_imports IS 'Statistics of this database''s imports: one row; the counters are since stats_reset, the others are as of now';
COMMENT ON COLUMN pinterest.stat_imports.queued IS 'Imports that were queued, by calls or by sync_every, or queued again by pinterest_retry_failed()';
COMMENT ON COLUMN pinterest.stat_imports.started IS 'Times that a worker began or continued an import: one that has waited, given way or lost its worker is counted again';
COMMENT ON COLUMN pinterest.stat_imports.completed IS 'Imports that completed, unchanged ones included';
COMMENT ON COLUMN pinterest.stat_imports.failed IS 'Imports that failed';
COMMENT ON COLUMN pinterest.stat_imports.cancelled IS 'Imports that were cancelled, or ended because their account was disconnected';
COMMENT ON COLUMN pinterest.stat_imports.unchanged IS 'Imports that completed without listing anything, because the board had not changed';
COMMENT ON COLUMN pinterest.stat_imports.waits_quota IS 'Times that an import had to wait for Pinterest''s quota';
COMMENT ON COLUMN pinterest.stat_imports.waits_access IS 'Times that an import had to wait because Pinterest did not grant the app access';
COMMENT ON COLUMN pinterest.stat_imports.waits_reauth IS 'Times that an import had to wait until its account''s user connects it again';
COMMENT ON COLUMN pinterest.stat_imports.pins_listed IS 'Pins listed by imports';
COMMENT ON COLUMN pinterest.stat_imports.import_time IS 'Time that workers spent on imports, in milliseconds; several imports run at the same time';
COMMENT ON COLUMN pinterest.stat_imports.imports_queued IS 'Imports queued now';
COMMENT ON COLUMN pinterest.stat_imports.imports_running IS 'Imports running now';
COMMENT ON COLUMN pinterest.stat_imports.imports_waiting IS 'Imports that wait now for the quota, for access or for an account''s user';
COMMENT ON COLUMN pinterest.stat_imports.oldest_queued_age IS 'The longest time that an import which could run has waited for a worker; NULL: none waits';
COMMENT ON COLUMN pinterest.stat_imports.oldest_sync_age IS 'The longest time that a board''s sync has been due; NULL: none is due';
COMMENT ON COLUMN pinterest.stat_imports.stats_reset IS 'When the counters began at 0; NULL, as all counters: they are not kept, see pinterest_doctor()';

CREATE VIEW pinterest.stat_images AS
SELECT s.source, s.embedded, s.reused, s.skipped, s.failed, s.downloads, s.bytes_downloaded, s.download_time, s.embed_time, s.pending,
       s.stats_reset
FROM pinterest.read_stat_images() s;
COMMENT ON VIEW pinterest.stat_images IS 'Statistics of this database''s images: one row per source';
COMMENT ON COLUMN pinterest.stat_images.source IS 'import; tracked: tracked columns of images and their addresses; call: pinterest_embed_image() and pinterest_embed_images()';
COMMENT ON COLUMN pinterest.stat_images.embedded IS 'Images that the embedder has embedded';
COMMENT ON COLUMN pinterest.stat_images.reused IS 'Images that needed no inference, because their embedding existed; without those of unchanged boards';
COMMENT ON COLUMN pinterest.stat_images.skipped IS 'Images that are not embedded: of an unsupported type, too large, and so on; of tracked columns, rows whose source was gone or had changed meanwhile';
COMMENT ON COLUMN pinterest.stat_images.failed IS 'Images that failed for good';
COMMENT ON COLUMN pinterest.stat_images.downloads IS 'Images downloaded';
COMMENT ON COLUMN pinterest.stat_images.bytes_downloaded IS 'Bytes of the downloaded images';
COMMENT ON COLUMN pinterest.stat_images.download_time IS 'Time of these downloads, in milliseconds; several run at the same time';
COMMENT ON COLUMN pinterest.stat_images.embed_time IS 'Time that successful requests to the embedder took, in milliseconds, with the wait in its queue; many run at the same time';
COMMENT ON COLUMN pinterest.stat_images.pending IS 'Images that wait now; NULL for calls';
COMMENT ON COLUMN pinterest.stat_images.stats_reset IS 'When the counters began at 0; NULL, as all counters: they are not kept, see pinterest_doctor()';

CREATE VIEW pinterest.stat_requests AS
SELECT s.host, s.status_class, s.requests, s.retries, s.bytes_received, s.request_time, s.stats_reset
FROM pinterest.read_stat_requests() s;
COMMENT ON VIEW pinterest.stat_requests IS 'Statistics of this database''s requests to Pinterest and to image hosts: one row per host and status class that occurred';
COMMENT ON COLUMN pinterest.stat_requests.host IS 'The configured host, with its port if that is not 443; other: hosts beyond the first 32, or the first 8 if the library is not preloaded';
COMMENT ON COLUMN pinterest.stat_requests.status_class IS '2xx, 3xx, 4xx without 429, 429 (too many requests), 5xx, or error: no complete answer came';
COMMENT ON COLUMN pinterest.stat_requests.requests IS 'Requests that have ended; a request that was cancelled is not counted';
COMMENT ON COLUMN pinterest.stat_requests.retries IS 'Of these, requests that repeat a failed one';
COMMENT ON COLUMN pinterest.stat_requests.bytes_received IS 'Bytes of the answers'' bodies';
COMMENT ON COLUMN pinterest.stat_requests.request_time IS 'Time of these requests, in milliseconds, from the connection to the end of the answer; several run at the same time';
COMMENT ON COLUMN pinterest.stat_requests.stats_reset IS 'When the counters began at 0';

CREATE VIEW pinterest.stat_embedder AS
SELECT s.images, s.texts, s.batches, s.queue_depth, s.queue_wait_time, s.batch_time, s.busy_rejections, s.starts, s.deaths, s.loaded,
       s.model, s."precision", s.untrained, s.stats_reset
FROM pinterest.read_stat_embedder() s;
COMMENT ON VIEW pinterest.stat_embedder IS 'Statistics of the embedder, which serves all databases of the cluster: one row';
COMMENT ON COLUMN pinterest.stat_embedder.images IS 'Images embedded';
COMMENT ON COLUMN pinterest.stat_embedder.texts IS 'Texts embedded; texts answered from its cache are not counted';
COMMENT ON COLUMN pinterest.stat_embedder.batches IS 'Forward passes of the model';
COMMENT ON COLUMN pinterest.stat_embedder.queue_depth IS 'Images and texts that wait now; at most a fifth of a second old';
COMMENT ON COLUMN pinterest.stat_embedder.queue_wait_time IS 'Time that images and texts waited for their forward pass, decoding included, in milliseconds; many wait at the same time';
COMMENT ON COLUMN pinterest.stat_embedder.batch_time IS 'Time of forward passes, in milliseconds; one runs at a time';
COMMENT ON COLUMN pinterest.stat_embedder.busy_rejections IS 'Requests that were refused because the queue was full; clients repeat them';
COMMENT ON COLUMN pinterest.stat_embedder.starts IS 'Times that the program was started';
COMMENT ON COLUMN pinterest.stat_embedder.deaths IS 'Times that the program failed, was killed or could not be started';
COMMENT ON COLUMN pinterest.stat_embedder.loaded IS 'Whether it runs now and has loaded its model; it starts when it is needed, and ends after pinterest.embedder_idle_timeout';
COMMENT ON COLUMN pinterest.stat_embedder.model IS 'The model that it loaded last; NULL: none since the server started';
COMMENT ON COLUMN pinterest.stat_embedder."precision" IS 'The precision in which it computes';
COMMENT ON COLUMN pinterest.stat_embedder.untrained IS 'Whether its weights are random numbers, so that rankings reflect colour and texture, not meaning';
COMMENT ON COLUMN pinterest.stat_embedder.stats_reset IS 'When the counters began at 0; NULL, as all counters: they are not kept, see pinterest_doctor()';

CREATE VIEW pinterest.stat_embedders AS
SELECT s.embedder, s.address, s.state, s.problem, s."precision", s.kernels, s.images, s.texts, s.failures, s.in_flight,
       s.images_per_second, s.round_trip_time
FROM pinterest.read_stat_embedders() s;
COMMENT ON VIEW pinterest.stat_embedders IS 'The embedders that work is spread over, as they are now: one row each. No rows while pinterest.embedders is local, or the embedder does not run';
COMMENT ON COLUMN pinterest.stat_embedders.embedder IS 'The name in pinterest.embedders';
COMMENT ON COLUMN pinterest.stat_embedders.address IS 'The address, of which a name may have several; NULL: this machine, or a name without an address';
COMMENT ON COLUMN pinterest.stat_embedders.state IS 'ready: it is used; other model, unreachable, failed: it is not; connecting, loading: it is not yet';
COMMENT ON COLUMN pinterest.stat_embedders.problem IS 'Why it is not used';
COMMENT ON COLUMN pinterest.stat_embedders."precision" IS 'The precision in which it computes';
COMMENT ON COLUMN pinterest.stat_embedders.kernels IS 'The code that multiplies its matrices';
COMMENT ON COLUMN pinterest.stat_embedders.images IS 'Images that it has answered since the program that spreads the work started';
COMMENT ON COLUMN pinterest.stat_embedders.texts IS 'Texts that it has answered';
COMMENT ON COLUMN pinterest.stat_embedders.failures IS 'Requests that it did not answer, and that others got, and connections to it that were lost';
COMMENT ON COLUMN pinterest.stat_embedders.in_flight IS 'Requests that it has now';
COMMENT ON COLUMN pinterest.stat_embedders.images_per_second IS 'Its recent speed for this server; less than its own if other servers use it';
COMMENT ON COLUMN pinterest.stat_embedders.round_trip_time IS 'The time to it and back, in milliseconds';

CREATE VIEW pinterest.stat_refreshes AS
SELECT s.succeeded, s.failed, s.rejected, s.last_success, s.last_failure, s.accounts_connected, s.accounts_needs_reauth,
       s.accounts_uncertain, s.next_expiry, s.stats_reset
FROM pinterest.read_stat_refreshes() s;
COMMENT ON VIEW pinterest.stat_refreshes IS 'Statistics of the refreshes of tokens in this database, and the number of accounts by status: one row';
COMMENT ON COLUMN pinterest.stat_refreshes.succeeded IS 'Refreshes whose new tokens are stored';
COMMENT ON COLUMN pinterest.stat_refreshes.failed IS 'Attempts that failed and will be repeated';
COMMENT ON COLUMN pinterest.stat_refreshes.rejected IS 'Refusals after which an account''s user has to connect it again';
COMMENT ON COLUMN pinterest.stat_refreshes.last_success IS 'When new tokens were last stored, since stats_reset';
COMMENT ON COLUMN pinterest.stat_refreshes.last_failure IS 'When an attempt last failed or was rejected, since stats_reset';
COMMENT ON COLUMN pinterest.stat_refreshes.accounts_connected IS 'Accounts that are connected now';
COMMENT ON COLUMN pinterest.stat_refreshes.accounts_needs_reauth IS 'Accounts whose users have to connect them again';
COMMENT ON COLUMN pinterest.stat_refreshes.accounts_uncertain IS 'Accounts of which the answer to a refresh was lost; the next refresh resolves that';
COMMENT ON COLUMN pinterest.stat_refreshes.next_expiry IS 'When the tokens of a connected account can next not be renewed any more; refreshes postpone it';
COMMENT ON COLUMN pinterest.stat_refreshes.stats_reset IS 'When the counters began at 0; NULL, as all counters: they are not kept, see pinterest_doctor()';

CREATE VIEW pinterest.stat_tracked AS
SELECT s.tracked_column_id, s.table_oid, s.embedding_column, s.embedded, s.failed, s.skipped, s.retries, s.pending, s.failed_rows,
       s.oldest_pending_age, s.stats_reset
FROM pinterest.read_stat_tracked() s;
COMMENT ON VIEW pinterest.stat_tracked IS 'Statistics of this database''s tracked columns: one row per column';
COMMENT ON COLUMN pinterest.stat_tracked.tracked_column_id IS 'As in pinterest.tracked';
COMMENT ON COLUMN pinterest.stat_tracked.table_oid IS 'The table; NULL, or another table''s, in a restored dump until a row has been processed';
COMMENT ON COLUMN pinterest.stat_tracked.embedding_column IS 'The column that contains the embeddings';
COMMENT ON COLUMN pinterest.stat_tracked.embedded IS 'Embeddings written to the column';
COMMENT ON COLUMN pinterest.stat_tracked.failed IS 'Rows that failed for good; a row can fail again after a change or pinterest_retry_tracked()';
COMMENT ON COLUMN pinterest.stat_tracked.skipped IS 'Rows that needed no embedding: the one in the table was right, or the source was gone or had changed meanwhile';
COMMENT ON COLUMN pinterest.stat_tracked.retries IS 'Attempts that failed and are repeated';
COMMENT ON COLUMN pinterest.stat_tracked.pending IS 'Rows that wait now';
COMMENT ON COLUMN pinterest.stat_tracked.failed_rows IS 'Rows that are failed now';
COMMENT ON COLUMN pinterest.stat_tracked.oldest_pending_age IS 'The longest time that a row which could be processed has waited, without those of columns with a problem; NULL: none waits';
COMMENT ON COLUMN pinterest.stat_tracked.stats_reset IS 'When the counters began at 0; NULL, as all counters: they are not kept, see pinterest_doctor()';

CREATE VIEW pinterest.stat_workers AS
SELECT s.workers, s.tracking_workers, s.paused_since, s.slots, s.slots_used, s.last_refusal
FROM pinterest.read_stat_workers() s;
COMMENT ON VIEW pinterest.stat_workers IS 'The workers of this database and the server''s slots for background workers, as of now: one row. Nothing is counted, so nothing is reset';
COMMENT ON COLUMN pinterest.stat_workers.workers IS 'Workers for imports and refreshes of this database';
COMMENT ON COLUMN pinterest.stat_workers.tracking_workers IS 'Workers for tracked columns of this database';
COMMENT ON COLUMN pinterest.stat_workers.paused_since IS 'When pinterest_pause_workers() stopped them; NULL: they are not paused';
COMMENT ON COLUMN pinterest.stat_workers.slots IS 'max_worker_processes';
COMMENT ON COLUMN pinterest.stat_workers.slots_used IS 'Background workers of all databases and extensions that run now, parallel queries included';
COMMENT ON COLUMN pinterest.stat_workers.last_refusal IS 'When no slot was free for a worker of a database without one the last time; NULL: never since the server started';

-- The constants are measured: docs/scale.md has each of them, and how it was measured. All are of one type, so that each
-- operator is the server's own.
CREATE FUNCTION @extschema@.pinterest_sizing(
    accounts bigint, pins_per_account bigint, boards_per_account integer DEFAULT 4, sync_every interval DEFAULT '1 day',
    new_pins_per_day double precision DEFAULT 1, keep_images text DEFAULT 'none', tier text DEFAULT 'standard',
    images_per_second double precision DEFAULT 32, image_bytes double precision DEFAULT 50000, venues bigint DEFAULT 0)
RETURNS TABLE (item text, value double precision, unit text, arithmetic text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT s.item, s.value, s.unit, s.arithmetic
    FROM (SELECT $1::float8 AS accounts, $2::float8 AS pins_each, $3::float8 AS boards_each, extract(epoch FROM $4)::float8 AS every,
                 $5 AS new_each, NULLIF($8, 0::float8) AS speed, $9 AS image, $10::float8 AS venues) AS a
    CROSS JOIN (SELECT 86400::float8 AS day, 1000000000::float8 AS gb, 250::float8 AS page, 6100::float8 AS pin, 14000::float8 AS thumbnail,
                       1.05::float8 AS original, 1500::float8 AS account, 310::float8 AS board, 730::float8 AS import, 400::float8 AS index,
                       2700::float8 AS venue, 2::float8 AS two, 365::float8 AS year, 20::float8 AS refresh, 1000::float8 AS trial,
                       1440000::float8 AS standard) AS c
    CROSS JOIN LATERAL (SELECT a.accounts * a.pins_each AS pins, a.accounts * a.boards_each AS boards, a.accounts * a.new_each AS new_pins,
                               a.accounts * a.boards_each * c.day / NULLIF(a.every, 0::float8) AS syncs) AS n
    CROSS JOIN LATERAL (
        SELECT CASE $6 WHEN 'none' THEN 0::float8 WHEN 'thumbnails' THEN c.thumbnail
                       WHEN 'originals' THEN c.thumbnail + c.original * a.image END AS kept,
               CASE $7 WHEN 'trial' THEN c.trial WHEN 'standard' THEN NULLIF(a.accounts, 0::float8) * c.standard END AS allowed,
               n.boards * c.two + n.pins / c.page AS first, n.syncs + LEAST(n.new_pins, n.syncs) * c.two AS daily) AS r
    CROSS JOIN LATERAL (VALUES
        (1, 'pins', n.pins, 'pins', 'accounts * pins_per_account'),
        (2, 'disk: pins, images and vectors', n.pins * c.pin / c.gb, 'GB', 'pins * 6,100 bytes'),
        (3, 'disk: kept images', n.pins * r.kept / c.gb, 'GB', 'pins * 14,000 bytes for a thumbnail, and 1.05 * image_bytes for an original'),
        (4, 'disk: accounts and boards', (a.accounts * c.account + n.boards * c.board) / c.gb, 'GB', 'accounts * 1,500 bytes + boards * 310 bytes'),
        (5, 'disk: imports of a year', n.syncs * c.year * c.import / c.gb, 'GB', 'imports a day * 365 * 730 bytes; less with pinterest.retention'),
        (6, 'memory: indexes of pins and images', n.pins * c.index / c.gb, 'GB', 'pins * 400 bytes; what shared_buffers and the page cache should hold'),
        (7, 'memory: index of venues', a.venues * c.venue / c.gb, 'GB', 'venues * 2,700 bytes: an HNSW index on vector(512)'),
        (8, 'imports a day', n.syncs, 'imports', 'accounts * boards_per_account / sync_every'),
        (9, 'refreshes a day', a.accounts / c.refresh, 'requests', 'accounts / 20 days'),
        (10, 'requests a day', r.daily, 'requests', 'imports a day, and 2 more for each board with new pins'),
        (11, 'requests that Pinterest allows a day', r.allowed, 'requests', 'trial: 1,000 for the app; standard: 1,440,000 for each account'),
        (12, 'share of the quota', r.daily / r.allowed, NULL, 'requests a day / requests that Pinterest allows a day; above 1, sync_every has to be longer'),
        (13, 'first imports: requests', r.first, 'requests', '2 for each board + pins / 250'),
        (14, 'first imports: days of quota', r.first / r.allowed, 'days', 'requests of the first imports / requests that Pinterest allows a day'),
        (15, 'first imports: downloads', n.pins * a.image / c.gb, 'GB', 'pins * image_bytes'),
        (16, 'first imports: time of one core', n.pins / a.speed / c.day, 'days', 'pins / images_per_second'),
        (17, 'new pins: cores of embedders', n.new_pins / a.speed / c.day, 'cores', 'accounts * new_pins_per_day / 86,400 / images_per_second')
    ) AS s(place, item, value, unit, arithmetic)
    ORDER BY s.place;
END;

CREATE OR REPLACE VIEW pinterest.functions AS
SELECT f.level, f.function, f.description
FROM (VALUES
    ('user', 'pinterest_register_app(text, text, text, text, text)'::pg_catalog.regprocedure,
     'Registers an app of the calling role (name, client id, client secret, and the redirect URI exactly as registered with Pinterest), or replaces it; returns its id. tier is the access that Pinterest has given the app, trial or standard. If the secret is NULL, it is read from pinterest.app_secret_file and never passes through SQL. Otherwise call this function by SELECT with bind parameters: they can reach a log through the same channels as those of pinterest_store_token()'),
    ('user', 'pinterest_authorize_url(text, boolean)',
     'Returns the address of the page where a user lets the app read their boards, and secret boards if requested. It is valid for ten minutes and can be used once'),
    ('user', 'pinterest_connect(text, text)',
     'Exchanges the code and the state of the redirect for tokens and stores them sealed; returns the account''s id'),
    ('user', 'pinterest_store_token(text, text, integer, integer, text, text, bigint, text)',
     'Stores tokens that the app has obtained itself; returns the account''s id. Prefer pinterest_connect(), where no token passes through SQL. Call this function by SELECT with bind parameters, never with literals. These settings can still log the tokens: log_min_duration_statement, log_min_duration_sample, log_transaction_sample_rate and log_statement (unless log_parameter_max_length = 0), log_parameter_max_length_on_error (unless 0, the default), debug_print_plan, auto_explain.log_verbose (in the plan), and from Postgres 16 on auto_explain.log_parameter_max_length (unless 0). A literal is shown by each of them, by any error (log_min_error_statement), by pg_stat_activity to members of pg_read_all_stats, and is kept by pg_stat_statements if the call is part of CALL, DO or EXECUTE'),
    ('user', 'pinterest_refresh(bigint)',
     'Renews an account''s tokens now, even while its app is paused; returns when the new access token expires. The worker also renews them before they expire'),
    ('user', 'pinterest_disconnect(bigint, boolean)',
     'Deletes an account''s tokens and ends its imports; with purge also the account and all pins, images and vectors imported through it, in one transaction. Returns how many of each were deleted. Pinterest has no call that revokes a user''s consent: users remove the app in their settings'),
    ('reader', 'pinterest_export(bigint, boolean, boolean)',
     'Returns everything that is stored about an account as one JSON document, with vectors, stored image bytes and thumbnails (base64) if requested; never a token'),
    ('admin', 'pinterest_keys()',
     'Lists the keys that seal tokens, by fingerprint: which one is active, which ones the server has, and how many secrets are sealed with each'),
    ('admin', 'pinterest_rotate_key()',
     'Requests that a worker re-encrypts everything with the first key of the key ring, in small transactions; returns how many secrets are to be re-encrypted. pinterest_keys() shows the progress; once no secret is sealed with the old key, that key can be removed'),
    ('user', 'pinterest_list_boards(bigint)',
     'Lists the account''s boards as Pinterest reports them now'),
    ('user', 'pinterest_import_board(text, bigint, text, text[], integer, interval, boolean)',
     'Queues the import of a board, given by id, title or address; returns the import''s id. A worker runs it after the commit: see pinterest.imports. keep_images: none, thumbnails (small JPEGs, for pages) or originals (the downloaded bytes, and thumbnails) are stored besides the embeddings. skip_ai: pins disclosed as made or changed with AI are listed, but their images are skipped'),
    ('user', 'pinterest_sync_board(text, interval, bigint)',
     'Sets the interval, at least five minutes, after which a worker imports an imported board again; NULL turns it off'),
    ('user', 'pinterest_retry_failed(bigint)',
     'Queues the images again that an import has failed on, and those that it skipped as too large, or as animations if pinterest.animated_images now embeds them; returns their number'),
    ('user', 'pinterest_reembed_board(text, bigint)',
     'Queues the re-embedding of a board''s images that another model has embedded, from the stored bytes if there are any, otherwise from a new download. Nothing is listed. Returns the import''s id: see pinterest.imports'),
    ('user', 'pinterest_pause_account(bigint, boolean)',
     'Pauses an account''s imports, including running ones, or resumes them (pause => false); its tokens are still refreshed'),
    ('reader', 'pinterest_workers()',
     'Lists the launcher, the supervisor and this database''s workers; the view pinterest.workers reads it'),
    ('reader', 'pinterest_wait_for_import(bigint, interval)',
     'Waits until an import has ended, or until the timeout; returns its state. Holds the caller''s snapshot while it waits: prefer pinterest_await_import() for waits of minutes'),
    ('reader', 'pinterest_await_import(bigint, interval)',
     'Waits until an import has ended, or until the timeout, and holds no transaction while it waits; warns if the import has not completed. Cannot run inside a transaction block'),
    ('admin', 'pinterest_pause_workers(text)',
     'Stops the workers of a database, by default the current one, and starts no others until pinterest_resume_workers(), also after a restart; returns when they have ended. For CREATE DATABASE ... TEMPLATE and ALTER DATABASE ... RENAME. ROLLBACK does not undo it. Returns false if they were already paused'),
    ('admin', 'pinterest_resume_workers(text)',
     'Lets the workers of a database, by default the current one, start again and continue with the queued work. Returns false if they were not paused'),
    ('user', 'pinterest_cancel_import(bigint)',
     'Ends an import and keeps the pins and images that it has stored; returns false if it had already ended'),
    ('user', 'pinterest_track(regclass, text, text, text, text, text)',
     'Declares that a vector(512) column of your table is computed from another column: image (bytea), image_url or text, exactly one of them. Workers keep it current. key is a list of columns with a unique index, by default the primary key. Returns how many rows are to be embedded. Called again, it checks all rows; rows that have not changed are not embedded again. See pinterest.tracked'),
    ('user', 'pinterest_untrack(text, text)',
     'Stops tracking one column of a table, or all of them; the vectors stay. A table that has been dropped is given by the name it had. Returns the number of columns'),
    ('user', 'pinterest_retry_tracked(regclass, text)',
     'Queues the failed rows of a tracked table again; returns their number'),
    ('reader', 'pinterest_wait_for_tracked(regclass, interval)',
     'Waits until no row of a tracked table is pending, until a problem blocks all pending rows, or until the timeout; returns the number of pending rows. Holds the caller''s snapshot while it waits: prefer pinterest_await_tracked() for waits of minutes'),
    ('reader', 'pinterest_await_tracked(regclass, interval)',
     'Waits until no row of a tracked table is pending, until a problem blocks all pending rows, or until the timeout, and holds no transaction while it waits; warns if rows are pending. Cannot run inside a transaction block'),
    ('reader', 'pinterest_embed_image(bytea)',
     'CLIP ViT-B/32 embedding of a JPEG, PNG, WebP or GIF: 512 dimensions, unit length'),
    ('reader', 'pinterest_embed_text(text)',
     'CLIP ViT-B/32 embedding of a text: 512 dimensions, unit length, comparable with those of images'),
    ('reader', 'pinterest_embed_images(bytea[])',
     'pinterest_embed_image() for up to 1,000 images of 256 MB together, sent to the embedder at once: their embeddings in the same order, NULL for NULL. If an image cannot be embedded, the call fails, and the message contains its position'),
    ('reader', 'pinterest_embed_texts(text[])',
     'pinterest_embed_text() for up to 1,000 texts, sent to the embedder at once: their embeddings in the same order, NULL for NULL. If a text cannot be embedded, the call fails, and the message contains its position'),
    ('reader', 'pinterest_board_embedding(text, bigint, interval, jsonb, integer, boolean)',
     'Direction of the mean of a board''s image embeddings, unit length; the board is given by id, title or address. half_life: a pin that is older than the newest by this interval has half its weight; sections: weights by name, as {"Ceremony": 2, "Dress": 0}, other sections have weight 1, "" stands for pins outside of sections; theme: only the images of that row of pinterest_board_themes(); skip_ai: without pins disclosed as made or changed with AI'),
    ('reader', 'pinterest_board_themes(text, integer, text[], bigint, boolean)',
     'The themes of a board, heaviest first (spherical k-means over its images, with the same result each time): direction, share of the images, mean cosine of its images to the direction, number of images, the pins nearest to it, and the label that fits it best. k: their number; NULL: chosen by the function. A board with fewer different images has fewer themes. skip_ai: without pins disclosed as made or changed with AI'),
    ('reader', 'pinterest_classify(vector, text[])',
     'The probability of each label for an embedding, highest first: the softmax over CLIP''s scaled cosines. It is relative to the given labels: a single label has probability 1'),
    ('reader', 'pinterest_recommend(text, regclass, integer, double precision, text, boolean, text[], text, text, bigint, text[], boolean, boolean)',
     'The k rows of a table or view that suit a board: the best matches over its themes, found through the table''s index on the embedding, and not too similar to each other (diversity 0: nearest only, 1: as different as possible). Themes that match hardly any row, and differ from the rest of the table, get no rows, unless all_themes is true or only is given. only: a text; images that fit one of contrasts better do not count. explain: the pins that each row resembles, and a notice of omitted themes. not_boards: boards that show what is not wanted. key and embedding: columns, if the primary key and the only vector column are not to be used. skip_ai: pins of the boards that are disclosed as made or changed with AI do not count'),
    ('reader', 'pinterest_recommend(text[], regclass, integer, double precision, text, boolean, text[], text, text, bigint, text[], boolean, boolean)',
     'The same for several boards, also of several accounts of the caller: each board carries equal weight, regardless of its number of pins'),
    ('reader', 'pinterest_pins_like(vector, integer, text, bigint, boolean)',
     'The k pins nearest to an embedding of an image or a text, each by its nearest image: of a board, of an account, or of all that the caller may see; with skip_ai without pins disclosed as made or changed with AI'),
    ('reader', 'pinterest_boards_like(text, integer, bigint, boolean)',
     'The caller''s other boards, most similar first: each theme is compared with the nearest one of the other board; with skip_ai without pins disclosed as made or changed with AI'),
    ('reader', 'pinterest_duplicates(text, double precision, bigint)',
     'Groups of equal or similar images of a board: with the same bytes as the first image of the group, or within the threshold (cosine distance) of it'),
    ('reader', 'pinterest_gallery(text, json, text, boolean, bigint)',
     'One HTML page that shows a board''s images by theme, the rows that json_agg() made of a query (title or name, image, link, rank, score, distance, theme, because; other members as small facts), or both. Images are linked; with embed, stored images are part of the page. Save it with psql -At -o page.html'),
    ('reader', 'pinterest_sizing(bigint, bigint, integer, interval, double precision, text, text, double precision, double precision, bigint)',
     'What this many accounts need, line by line: disk, memory, requests to Pinterest and its quota, and the time of the embedder, with the arithmetic. keep_images and tier are written as for pinterest_import_board() and pinterest_register_app(); with other words, the lines that depend on them are NULL. images_per_second is that of one core, image_bytes the mean size of a downloaded image'),
    ('user', 'pinterest_purge_board(text, bigint)',
     'Deletes a board with its pins, images, vectors and imports; returns the counts'),
    ('reader', 'pinterest_doctor()',
     'Checks the requirements of imports: one row per check, with a hint if something is wrong'),
    ('admin', 'pinterest_grant(text, text)',
     'Grants a role a level: reader (read and search), user (also connect, import and track) or admin (also keys, copies, pausing workers, and granting levels to others). Fails if the caller may not grant all of it'),
    ('admin', 'pinterest_revoke(text, boolean)',
     'Revokes from a role all privileges that were granted to it on objects of the extension; with cascade also those that it granted to others'),
    ('user', 'pinterest_reassign(text, text)',
     'Transfers the rows that one role owns to another role: apps, accounts with everything imported through them, and tracked columns whose tables already belong to the new owner. Requires the rights of both roles, or a superuser if the old role has been dropped; in that case the old role is written as the owner is shown. Returns the counts'),
    ('admin', 'pinterest_adopt()',
     'Lets this copy of the database send requests, on this host. Call it only if the original is permanently gone. See pinterest.clone_fence'),
    ('admin', 'pinterest_distribute(integer)',
     'Distributes the tables of boards, sections, pins and images with their rows over the nodes of a Citus cluster, by account, in so many shards, by default citus.shard_count. Only superusers can call it, on the coordinator. Imports wait until its transaction ends'),
    ('admin', 'pinterest_undistribute()',
     'Makes the tables that pinterest_distribute() has distributed local to the coordinator again, with their rows'),
    ('admin', 'pinterest_stat_reset(text)',
     'Sets the counters of a view pinterest.stat_... of this database to 0, by default those of all of them. Superusers can also reset stat_embedder, which is that of the whole cluster, by its name'),

    ('admin', 'pinterest.read_stat_imports()',
     'Internal: the row of pinterest.stat_imports'),
    ('admin', 'pinterest.read_stat_images()',
     'Internal: the rows of pinterest.stat_images'),
    ('admin', 'pinterest.read_stat_requests()',
     'Internal: the rows of pinterest.stat_requests'),
    ('admin', 'pinterest.read_stat_embedder()',
     'Internal: the row of pinterest.stat_embedder'),
    ('admin', 'pinterest.read_stat_embedders()',
     'Internal: the rows of pinterest.stat_embedders'),
    ('admin', 'pinterest.read_stat_refreshes()',
     'Internal: the row of pinterest.stat_refreshes'),
    ('admin', 'pinterest.read_stat_tracked()',
     'Internal: the rows of pinterest.stat_tracked'),
    ('admin', 'pinterest.read_stat_workers()',
     'Internal: the row of pinterest.stat_workers'),
    ('user', 'pinterest.track_change()',
     'Internal: queues or dequeues a row of a tracked table after it has changed. pinterest_track() creates the triggers'),
    ('user', 'pinterest.track_stale()',
     'Internal: sets the embedding of a row to NULL before its source changes. pinterest_track() creates the triggers'),
    ('reader', 'pinterest.owner_oid(pinterest.role_owner)',
     'The oid of the owner''s role, which may have been dropped; 0 if the owner was not a role of this cluster when the row was written'),
    ('reader', 'pinterest.is_owner(pinterest.role_owner)',
     'Is the current role the owner?'),
    ('reader', 'pinterest.has_rights_of(pinterest.role_owner)',
     'Does the current role have the rights of the owner, as a member of a group has those of the group?'),
    ('reader', 'pinterest.owner_is_gone(pinterest.role_owner)',
     'Has the owner been dropped, or was it never a role of this cluster? Then no role owns the row until pinterest_reassign() transfers it'),
    ('reader', 'pinterest.role_owner_in(cstring)',
     'Internal: input of role_owner, the name of a role; if the role does not exist, the value is marked as missing'),
    ('reader', 'pinterest.role_owner_out(pinterest.role_owner)',
     'Internal: output of role_owner, the present name of the role'),
    ('reader', 'pinterest.role_owner_recv(internal)',
     'Internal: binary input of role_owner'),
    ('reader', 'pinterest.role_owner_send(pinterest.role_owner)',
     'Internal: binary output of role_owner'),
    ('reader', 'pinterest.role_owner_eq(pinterest.role_owner, pinterest.role_owner)',
     'Internal: =, by the role'),
    ('reader', 'pinterest.role_owner_ne(pinterest.role_owner, pinterest.role_owner)',
     'Internal: <>'),
    ('reader', 'pinterest.role_owner_lt(pinterest.role_owner, pinterest.role_owner)',
     'Internal: <, by the role''s oid'),
    ('reader', 'pinterest.role_owner_le(pinterest.role_owner, pinterest.role_owner)',
     'Internal: <='),
    ('reader', 'pinterest.role_owner_gt(pinterest.role_owner, pinterest.role_owner)',
     'Internal: >'),
    ('reader', 'pinterest.role_owner_ge(pinterest.role_owner, pinterest.role_owner)',
     'Internal: >='),
    ('reader', 'pinterest.role_owner_cmp(pinterest.role_owner, pinterest.role_owner)',
     'Internal: the order of B-trees'),
    ('reader', 'pinterest.role_owner_hash(pinterest.role_owner)',
     'Internal: the hash for hash joins and grouping')
) AS f(level, function, description);

DO $$
DECLARE
    f record;
BEGIN
    FOR f IN SELECT l.function, l.description FROM pinterest.functions l LOOP
        EXECUTE pg_catalog.format('COMMENT ON ROUTINE %s IS %L', f.function, f.description);
    END LOOP;
END
$$;

-- New objects: nothing is granted to PUBLIC, nor to other roles by default privileges. The block at the end of
-- sql/surface.sql, for new objects only: the others have the levels that pinterest_grant() has granted. It comes before all
-- grants of this step.
DO $$
DECLARE
    statement pg_catalog.text;
BEGIN
    FOR statement IN
        WITH members AS (
            SELECT d.classid, d.objid FROM pg_catalog.pg_depend d
            JOIN pg_catalog.pg_extension e ON d.refobjid OPERATOR(pg_catalog.=) e.oid
            WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass
              AND d.deptype OPERATOR(pg_catalog.=) 'e' AND e.extname OPERATOR(pg_catalog.=) 'pg_pinterest'
              AND pg_catalog.format('%s/%s', d.classid, d.objid) OPERATOR(pg_catalog.<>) ALL (
                  pg_catalog.string_to_array(pg_catalog.current_setting('pg_pinterest.members_before'), ' '))
        ), privileged AS (
            SELECT 'ROUTINE' AS kind, p.oid::pg_catalog.regprocedure::pg_catalog.text AS name, p.proowner AS owner,
                   COALESCE(p.proacl, pg_catalog.acldefault('f', p.proowner)) AS acl
            FROM pg_catalog.pg_proc p JOIN members m ON m.objid OPERATOR(pg_catalog.=) p.oid
            WHERE m.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass
            UNION ALL
            SELECT 'TYPE', t.oid::pg_catalog.regtype::pg_catalog.text, t.typowner, COALESCE(t.typacl, pg_catalog.acldefault('T', t.typowner))
            FROM pg_catalog.pg_type t JOIN members m ON m.objid OPERATOR(pg_catalog.=) t.oid
            WHERE m.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_type'::pg_catalog.regclass
              -- Since Postgres 17 array types and row types are members too; they have no privileges of their own.
              AND t.typelem OPERATOR(pg_catalog.=) 0::pg_catalog.oid AND t.typrelid OPERATOR(pg_catalog.=) 0::pg_catalog.oid
            UNION ALL
            SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::pg_catalog.regclass::pg_catalog.text, c.relowner, c.relacl
            FROM pg_catalog.pg_class c JOIN members m ON m.objid OPERATOR(pg_catalog.=) c.oid
            WHERE m.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
            UNION ALL
            SELECT 'SCHEMA', pg_catalog.quote_ident(n.nspname), n.nspowner, n.nspacl
            FROM pg_catalog.pg_namespace n JOIN members m ON m.objid OPERATOR(pg_catalog.=) n.oid
            WHERE m.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass
        )
        SELECT DISTINCT pg_catalog.format('REVOKE ALL ON %s %s FROM %s', p.kind, p.name,
            CASE WHEN a.grantee OPERATOR(pg_catalog.=) 0::pg_catalog.oid THEN 'PUBLIC'
                 ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END)
        FROM privileged p CROSS JOIN LATERAL pg_catalog.aclexplode(p.acl) AS a
        WHERE a.grantee OPERATOR(pg_catalog.<>) p.owner
          AND pg_catalog.pg_get_userbyid(a.grantee) OPERATOR(pg_catalog.<>) 'pinterest_worker'
    LOOP
        EXECUTE statement;
    END LOOP;
END
$$;

-- The usual role of monitoring reads statistics, which name no board and no user.
GRANT USAGE ON SCHEMA pinterest TO pg_monitor;
GRANT SELECT ON pinterest.stat_imports, pinterest.stat_images, pinterest.stat_requests, pinterest.stat_embedder,
    pinterest.stat_embedders,
    pinterest.stat_refreshes, pinterest.stat_tracked, pinterest.stat_workers TO pg_monitor;
GRANT EXECUTE ON FUNCTION pinterest.read_stat_imports(), pinterest.read_stat_images(), pinterest.read_stat_requests(),
    pinterest.read_stat_embedder(), pinterest.read_stat_embedders(), pinterest.read_stat_refreshes(), pinterest.read_stat_tracked(),
    pinterest.read_stat_workers() TO pg_monitor;

-- Counters are kept by database: those of an extension that was dropped are not this one's. The argument's type is given, so that
-- no function of another role in this schema is meant. The extension can be created where nothing is counted.
DO $$
BEGIN
    PERFORM @extschema@.pinterest_stat_reset(NULL::pg_catalog.text);
EXCEPTION WHEN OTHERS THEN
    NULL;
END
$$;

-- New objects: who holds a level has the new objects of the level too, from the same grantor and with the same grant option.
-- Otherwise an admin could not grant levels any more, nor revoke those it has granted. Each new object takes over the grants
-- of a function: the one that it replaces, or else one of its level. The grants are repeated from the owner's on, each by its
-- grantor, because GRANT has no other grantor than the current role (and the owner for a superuser). SET ROLE would depend on
-- the session's user, and is not allowed in functions with SECURITY DEFINER. So a function is owned by one grantor after the
-- other; no other session ever sees it.
CREATE FUNCTION pinterest.run_as_owner_of_this(statement pg_catalog.text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'BEGIN EXECUTE statement; END';
DO $$
DECLARE
    object pg_catalog.record;
    edge pg_catalog.record;
    statement pg_catalog.text;
    runs_as pg_catalog.oid;
    frontier pg_catalog.oid[];
    reached pg_catalog.oid[];
    next pg_catalog.oid[];
BEGIN
    FOR object IN
        WITH members AS (
            SELECT d.classid, d.objid FROM pg_catalog.pg_depend d
            JOIN pg_catalog.pg_extension e ON d.refobjid OPERATOR(pg_catalog.=) e.oid
            WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass
              AND d.deptype OPERATOR(pg_catalog.=) 'e' AND e.extname OPERATOR(pg_catalog.=) 'pg_pinterest'
              AND pg_catalog.format('%s/%s', d.classid, d.objid) OPERATOR(pg_catalog.<>) ALL (
                  pg_catalog.string_to_array(pg_catalog.current_setting('pg_pinterest.members_before'), ' '))
        ), replaced (by_function, function) AS (VALUES
            ('pinterest_import_board(text, bigint, text, text[], integer, interval, boolean)'::pg_catalog.regprocedure::pg_catalog.oid,
             'pinterest_import_board(text, bigint, boolean, text[], integer, interval, boolean)'::pg_catalog.regprocedure::pg_catalog.oid)
        ), level (name, function) AS (VALUES
            ('reader', 'pinterest_doctor()'::pg_catalog.regprocedure::pg_catalog.oid),
            ('user', 'pinterest_connect(text, text)'::pg_catalog.regprocedure::pg_catalog.oid),
            ('admin', 'pinterest_grant(text, text)'::pg_catalog.regprocedure::pg_catalog.oid)
        ), new AS (
            SELECT p.oid, 'EXECUTE ON ROUTINE' AS privilege, i.identity, p.proowner AS owner, f.level
            FROM members m
            JOIN pg_catalog.pg_proc p ON m.objid OPERATOR(pg_catalog.=) p.oid
            JOIN pinterest.functions f ON f.function::pg_catalog.oid OPERATOR(pg_catalog.=) p.oid
            CROSS JOIN LATERAL pg_catalog.pg_identify_object(m.classid, m.objid, 0) AS i
            WHERE m.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass
            UNION ALL
            -- As in src/store/grants.rs.
            SELECT c.oid, 'SELECT ON TABLE', i.identity, c.relowner,
                   CASE WHEN c.relname OPERATOR(pg_catalog.~) '^stat_' THEN 'admin' ELSE 'reader' END
            FROM members m
            JOIN pg_catalog.pg_class c ON m.objid OPERATOR(pg_catalog.=) c.oid
            CROSS JOIN LATERAL pg_catalog.pg_identify_object(m.classid, m.objid, 0) AS i
            WHERE m.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
              AND (c.relkind OPERATOR(pg_catalog.=) 'v' OR EXISTS (
                  SELECT FROM pg_catalog.pg_policy p
                  WHERE p.polrelid OPERATOR(pg_catalog.=) c.oid AND p.polname OPERATOR(pg_catalog.=) 'own'))
        )
        SELECT o.privilege, o.identity, o.owner, o.level, p.proowner AS old_owner, p.proacl AS acl
        FROM new o
        JOIN level l ON o.level OPERATOR(pg_catalog.=) l.name
        LEFT JOIN replaced r ON r.by_function OPERATOR(pg_catalog.=) o.oid
        JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) COALESCE(r.function, l.function)
    LOOP
        -- Another superuser than the one that created the extension may update it.
        frontier := ARRAY[object.old_owner, object.owner];
        reached := frontier;
        -- Each role is in one frontier at most.
        WHILE frontier[1] IS NOT NULL LOOP
            next := NULL;
            FOR edge IN
                SELECT a.grantor, a.grantee, r.rolname, pg_catalog.bool_or(a.is_grantable) AS is_grantable
                FROM pg_catalog.aclexplode(object.acl) AS a
                -- Without PUBLIC, to which the extension grants nothing.
                JOIN pg_catalog.pg_roles r ON a.grantee OPERATOR(pg_catalog.=) r.oid
                WHERE a.grantor OPERATOR(pg_catalog.=) ANY (frontier)
                  AND a.grantee OPERATOR(pg_catalog.<>) object.old_owner AND a.grantee OPERATOR(pg_catalog.<>) object.owner
                  -- An admin holds the grant option.
                  AND (a.is_grantable OR object.level OPERATOR(pg_catalog.<>) 'admin')
                GROUP BY a.grantor, a.grantee, r.rolname
                ORDER BY a.grantor, a.grantee
            LOOP
                statement := pg_catalog.format('GRANT %s %s TO %I%s', object.privilege, object.identity, edge.rolname,
                    CASE WHEN edge.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
                IF edge.grantor OPERATOR(pg_catalog.=) ANY (ARRAY[object.old_owner, object.owner]) THEN
                    EXECUTE statement;
                ELSE
                    IF runs_as IS NULL OR runs_as OPERATOR(pg_catalog.<>) edge.grantor THEN
                        EXECUTE pg_catalog.format('ALTER FUNCTION pinterest.run_as_owner_of_this(pg_catalog.text) OWNER TO %I',
                            pg_catalog.pg_get_userbyid(edge.grantor));
                        runs_as := edge.grantor;
                    END IF;
                    BEGIN
                        EXECUTE pg_catalog.format('SELECT pinterest.run_as_owner_of_this(%L)', statement);
                    EXCEPTION WHEN insufficient_privilege THEN
                        -- The grantor has lost USAGE on a schema. Its grant is not lost, but becomes the owner's.
                        EXECUTE statement;
                    END;
                END IF;
                IF edge.is_grantable AND edge.grantee OPERATOR(pg_catalog.<>) ALL (reached) THEN
                    next := pg_catalog.array_append(next, edge.grantee);
                    reached := pg_catalog.array_append(reached, edge.grantee);
                END IF;
            END LOOP;
            frontier := next;
        END LOOP;
    END LOOP;
END
$$;
DROP FUNCTION pinterest.run_as_owner_of_this(pg_catalog.text);

DROP FUNCTION pinterest_import_board(text, bigint, boolean, text[], integer, interval, boolean);
-- Statements of the library now, so that no function has to be bound to pgvector.
DROP FUNCTION pinterest.board_mean(bigint, text);
DROP FUNCTION pinterest.nearest_pins(vector, integer, bigint, text, text, boolean);

-- A GRANT in a step makes all privileges on its object initial ones, also those of roles to which a level was granted, and
-- pg_dump omits initial privileges. Those remain that the install script grants. The last block of a step.
DO $$
DECLARE
    initial pg_catalog.record;
BEGIN
    FOR initial IN
        SELECT i.classoid, i.objoid, i.objsubid, ARRAY(
            SELECT u.item FROM pg_catalog.unnest(i.initprivs) AS u(item)
            WHERE NOT EXISTS (
                SELECT FROM pg_catalog.aclexplode(ARRAY[u.item]) AS a
                WHERE a.grantee OPERATOR(pg_catalog.<>) a.grantor
                  AND pg_catalog.pg_get_userbyid(a.grantee) OPERATOR(pg_catalog.<>) ALL (ARRAY['pinterest_worker', 'pg_monitor']::pg_catalog.name[]))
        ) AS kept
        FROM pg_catalog.pg_init_privs i
        JOIN pg_catalog.pg_depend d ON d.classid OPERATOR(pg_catalog.=) i.classoid AND d.objid OPERATOR(pg_catalog.=) i.objoid
        JOIN pg_catalog.pg_extension e ON d.refobjid OPERATOR(pg_catalog.=) e.oid
        WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass
          AND d.deptype OPERATOR(pg_catalog.=) 'e' AND e.extname OPERATOR(pg_catalog.=) 'pg_pinterest'
    LOOP
        UPDATE pg_catalog.pg_init_privs i SET initprivs = initial.kept
        WHERE i.classoid OPERATOR(pg_catalog.=) initial.classoid AND i.objoid OPERATOR(pg_catalog.=) initial.objoid
          AND i.objsubid OPERATOR(pg_catalog.=) initial.objsubid
          AND pg_catalog.cardinality(i.initprivs) OPERATOR(pg_catalog.<>) pg_catalog.cardinality(initial.kept);
        -- Since Postgres 17, which would refuse DROP ROLE.
        DELETE FROM pg_catalog.pg_shdepend d
        WHERE d.deptype OPERATOR(pg_catalog.=) 'i' AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_authid'::pg_catalog.regclass
          AND d.dbid OPERATOR(pg_catalog.=) (SELECT b.oid FROM pg_catalog.pg_database b
                                             WHERE b.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())
          AND d.classid OPERATOR(pg_catalog.=) initial.classoid AND d.objid OPERATOR(pg_catalog.=) initial.objoid
          AND d.objsubid OPERATOR(pg_catalog.=) initial.objsubid
          AND NOT EXISTS (SELECT FROM pg_catalog.aclexplode(initial.kept) AS a
                          WHERE d.refobjid OPERATOR(pg_catalog.=) a.grantee OR d.refobjid OPERATOR(pg_catalog.=) a.grantor);
    END LOOP;
END
$$;
