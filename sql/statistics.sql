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
