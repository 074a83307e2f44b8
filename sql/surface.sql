-- The functions that the library defines: what \df+ says of them, and that nobody may call them until somebody grants it.

COMMENT ON FUNCTION pinterest_register_app(text, text, text, text, text) IS
    'Registers an app of the calling role (name, client id, client secret, redirect URI literally as at Pinterest), or replaces it; returns its id. tier is the access Pinterest gave it, trial or standard. With a NULL secret it is read from pinterest.app_secret_file and never passes through SQL. Else call it by SELECT with bind parameters: the channels by which they can reach a log are those of pinterest_store_token()';
COMMENT ON FUNCTION pinterest_authorize_url(text, boolean) IS
    'The address of the page where a user lets the app read their boards, secret ones too if asked; good for ten minutes and one use';
COMMENT ON FUNCTION pinterest_connect(text, text) IS
    'Exchanges the code and state of the redirect for tokens and stores them sealed; returns the account''s id';
COMMENT ON FUNCTION pinterest_store_token(text, text, integer, integer, text, text, bigint, text) IS
    'Stores tokens that the app obtained itself; returns the account''s id. pinterest_connect() is better: there no token passes through SQL. Call this one by SELECT with bind parameters, never with literals. Then these settings can still show the tokens: log_min_duration_statement, log_min_duration_sample, log_transaction_sample_rate and log_statement (unless log_parameter_max_length = 0), log_parameter_max_length_on_error (unless 0, the default), debug_print_plan, auto_explain.log_verbose (in the plan), and from Postgres 16 on auto_explain.log_parameter_max_length (unless 0). A literal is shown by each of them, by any error (log_min_error_statement), by pg_stat_activity to members of pg_read_all_stats, and kept by pg_stat_statements where the call stands in CALL, DO or EXECUTE';
COMMENT ON FUNCTION pinterest_refresh(bigint) IS
    'Renews an account''s tokens now, even while its app is paused; returns when the new access token expires. The worker renews them anyway before they expire';
COMMENT ON FUNCTION pinterest_disconnect(bigint, boolean) IS
    'Deletes an account''s tokens and ends its imports; with purge also the account and all pins, images and vectors imported through it, in one transaction. Returns how many of each went. Pinterest has no call that revokes a user''s consent: they remove the app in their settings';
COMMENT ON FUNCTION pinterest_export(bigint, boolean, boolean) IS
    'All that is kept of an account as one JSON document, with vectors and kept image bytes (base64) if asked; never a token';
COMMENT ON FUNCTION pinterest_keys() IS
    'The keys that seal tokens, by fingerprint: which one is active, which the server has, and how many secrets name each';
COMMENT ON FUNCTION pinterest_rotate_key() IS
    'Has a worker seal everything anew with the first key of the ring, in small transactions; returns how many secrets wait for that. pinterest_keys() shows how far it is; when no secret names the old key any more, it can go';
COMMENT ON FUNCTION pinterest_list_boards(bigint) IS
    'The account''s boards as Pinterest lists them now';
COMMENT ON FUNCTION pinterest_import_board(text, bigint, boolean, text[], integer, interval, boolean) IS
    'Queues the import of a board, by id, title or address; returns the import''s id. A worker does it after the commit: see pinterest.imports. skip_ai: pins disclosed as made or changed with AI are listed, and their images skipped';
COMMENT ON FUNCTION pinterest_sync_board(text, interval, bigint) IS
    'Keeps a board that was imported before fresh: a worker imports it again after every such time, at least five minutes; NULL ends that';
COMMENT ON FUNCTION pinterest_retry_failed(bigint) IS
    'Puts the images that an import has failed on back to work, and those that it skipped as too large, or as animations if pinterest.animated_images now embeds them; returns how many there are';
COMMENT ON FUNCTION pinterest_reembed_board(text, bigint) IS
    'Queues the work of bringing a board''s images to the present model: those whose embedding another one made are embedded again, from the kept bytes where there are any, else from a new download. Nothing is listed. Returns the import''s id: see pinterest.imports';
COMMENT ON FUNCTION pinterest_pause_account(bigint, boolean) IS
    'Pauses an account''s imports, running ones too, or lets them go on (pause => false); its tokens are refreshed all the same';
COMMENT ON FUNCTION pinterest_workers() IS
    'The launcher, the supervisor and this database''s workers; behind the view pinterest.workers';
COMMENT ON FUNCTION pinterest_wait_for_import(bigint, interval) IS
    'Waits until an import has ended, or for the timeout; returns its state. Holds the caller''s snapshot while it waits: for waits of minutes, pinterest_await_import() is better';
COMMENT ON PROCEDURE pinterest_await_import(bigint, interval) IS
    'Waits until an import has ended, or for the timeout, and holds no transaction while it waits; warns if the import has not completed. Cannot run inside a transaction block';
COMMENT ON FUNCTION pinterest_pause_workers(text) IS
    'Ends the workers of a database, by default the current one, and starts no others until pinterest_resume_workers(), also after a restart; returns when they have ended. For CREATE DATABASE ... TEMPLATE and ALTER DATABASE ... RENAME. Not undone by ROLLBACK. False if they were paused already';
COMMENT ON FUNCTION pinterest_resume_workers(text) IS
    'Lets the workers of a database, by default the current one, start again and continue with what was queued. False if they were not paused';
COMMENT ON FUNCTION pinterest_cancel_import(bigint) IS
    'Ends an import, keeping what is in; false if it had ended';
COMMENT ON FUNCTION pinterest_track(regclass, text, text, text, text, text) IS
    'Declares that a vector(512) column of your table follows another: image (bytea), image_url or text, exactly one of them. Workers keep it so. key is a list of columns with a unique index, by default the primary key. Returns how many rows are to be embedded; called again, all are looked at anew, and those that have not changed cost nothing. See pinterest.tracked';
COMMENT ON FUNCTION pinterest_untrack(text, text) IS
    'Ends the tracking of a table''s column, or of all of them; the vectors stay. Knows a dropped table by the name it had. Returns how many columns';
COMMENT ON FUNCTION pinterest_retry_tracked(regclass, text) IS
    'Puts the rows of a tracked table that have failed back to work; returns how many there are';
COMMENT ON FUNCTION pinterest_wait_for_tracked(regclass, interval) IS
    'Waits until no row of a tracked table is pending, until a problem keeps all that are, or for the timeout; returns how many are pending. Holds the caller''s snapshot while it waits: for waits of minutes, pinterest_await_tracked() is better';
COMMENT ON PROCEDURE pinterest_await_tracked(regclass, interval) IS
    'Waits until no row of a tracked table is pending, until a problem keeps all that are, or for the timeout, and holds no transaction while it waits; warns if rows are pending. Cannot run inside a transaction block';
COMMENT ON FUNCTION pinterest_embed_image(bytea) IS
    'CLIP ViT-B/32 embedding of a JPEG, PNG, WebP or GIF: 512 dimensions, unit length';
COMMENT ON FUNCTION pinterest_embed_text(text) IS
    'CLIP ViT-B/32 embedding of a text: 512 dimensions, unit length, comparable with those of images';
COMMENT ON FUNCTION pinterest_embed_images(bytea[]) IS
    'pinterest_embed_image() for up to 1,000 images of 256 MB together, sent to the embedder at once: their embeddings in the same order, NULL for NULL. An image that cannot be embedded fails the call, with its place in the message';
COMMENT ON FUNCTION pinterest_embed_texts(text[]) IS
    'pinterest_embed_text() for up to 1,000 texts, sent to the embedder at once: their embeddings in the same order, NULL for NULL. A text that cannot be embedded fails the call, with its place in the message';
COMMENT ON FUNCTION pinterest_board_embedding(text, bigint, interval, jsonb, integer, boolean) IS
    'Direction of the mean of a board''s image embeddings, unit length; the board by id, title or address. half_life: a pin so much older than the newest counts half; sections: weights by name, as {"Ceremony": 2, "Dress": 0}, others count 1, "" is the board outside of sections; theme: only the images of that row of pinterest_board_themes(); skip_ai: without pins disclosed as made or changed with AI';
COMMENT ON FUNCTION pinterest_board_themes(text, integer, text[], bigint, boolean) IS
    'The tastes in a board, heaviest first (spherical k-means over its images, the same each time): direction, share of the images, mean cosine of its images to the direction, number of images, the pins nearest to it, and which of the labels fits it best. k: how many; NULL finds it out. Fewer where the board has fewer different images. skip_ai: without pins disclosed as made or changed with AI';
COMMENT ON FUNCTION pinterest_classify(vector, text[]) IS
    'How likely each label is for an embedding, likeliest first: the softmax over CLIP''s scaled cosines. Relative to the labels given: of one label alone it is 1';
COMMENT ON FUNCTION pinterest_recommend(text, regclass, integer, double precision, text, boolean, text[], text, text, bigint, text[], boolean, boolean) IS
    'The k rows of a table, view or the like that suit a board: the best match over its themes, through the table''s index on the embedding, and none too like another (diversity 0: nearest only, 1: as different as can be). Themes that hardly a row is like, and that the rest of the table is unlike, take no places, unless all_themes is true or only is given. only: a text; images that fit one of contrasts better do not count. explain: the pins that each resembles, and a notice of themes left out. not_boards: boards that show what is not wanted. key and embedding: columns, where the primary key and the only vector column do not do. skip_ai: pins of the boards that are disclosed as made or changed with AI do not count';
COMMENT ON FUNCTION pinterest_recommend(text[], regclass, integer, double precision, text, boolean, text[], text, text, bigint, text[], boolean, boolean) IS
    'The same for several boards, also of several accounts of the caller: each has the same voice, however many pins it has';
COMMENT ON FUNCTION pinterest_pins_like(vector, integer, text, bigint, boolean) IS
    'The k pins nearest to an embedding, of an image or a text, each by its nearest image: of a board, an account, or all that the caller may see; with skip_ai without those disclosed as made or changed with AI';
COMMENT ON FUNCTION pinterest_boards_like(text, integer, bigint, boolean) IS
    'The caller''s other boards, most alike first: each theme is compared with the nearest one of the other board; with skip_ai without pins disclosed as made or changed with AI';
COMMENT ON FUNCTION pinterest_duplicates(text, double precision, bigint) IS
    'Images of a board that show the same picture, in groups: of the same bytes, or within the threshold (cosine distance) of the first of the group';
COMMENT ON FUNCTION pinterest_gallery(text, json, text, boolean, bigint) IS
    'One HTML page of a board''s pictures by theme, of the rows that json_agg() made of a query (title or name, image, link, rank, score, distance, theme, because; other members as small facts), or of both. Pictures by link; with embed the kept ones in the page itself. Save it by psql -At -o page.html';
COMMENT ON FUNCTION pinterest_purge_board(text, bigint) IS
    'Deletes a board with its pins, images, vectors and imports; returns the counts';
COMMENT ON FUNCTION pinterest_doctor() IS
    'Checks what an import depends on: one row each, with a hint where something is wrong';
COMMENT ON FUNCTION pinterest_grant(text, text) IS
    'Grants a role a level: reader (read and search), user (also connect, import and track) or admin (also keys, copies, pausing workers, and granting levels to others). Refused if the caller may not grant all of it';
COMMENT ON FUNCTION pinterest_revoke(text, boolean) IS
    'Revokes from a role everything that was granted to it on objects of the extension; with cascade also what it granted to others';
COMMENT ON FUNCTION pinterest_reassign(text, text) IS
    'Gives what one role owns to another: apps, accounts with all that was imported through them, and tracked columns whose tables have the new owner already. Requires the rights of both roles, or a superuser if the old role has been dropped; its name is then written as the owner is shown. Returns how many';
COMMENT ON FUNCTION pinterest_adopt() IS
    'Lets this copy of the database send requests, on this host; only when the original is gone for good. See pinterest.clone_fence';

REVOKE ALL ON FUNCTION
    pinterest.board_mean(bigint, text),
    pinterest_register_app(text, text, text, text, text),
    pinterest_authorize_url(text, boolean),
    pinterest_connect(text, text),
    pinterest_store_token(text, text, integer, integer, text, text, bigint, text),
    pinterest_refresh(bigint),
    pinterest_disconnect(bigint, boolean),
    pinterest_export(bigint, boolean, boolean),
    pinterest_keys(),
    pinterest_rotate_key(),
    pinterest_list_boards(bigint),
    pinterest_import_board(text, bigint, boolean, text[], integer, interval, boolean),
    pinterest_sync_board(text, interval, bigint),
    pinterest_retry_failed(bigint),
    pinterest_reembed_board(text, bigint),
    pinterest_pause_account(bigint, boolean),
    pinterest_workers(),
    pinterest_wait_for_import(bigint, interval),
    pinterest_pause_workers(text),
    pinterest_resume_workers(text),
    pinterest_cancel_import(bigint),
    pinterest_track(regclass, text, text, text, text, text),
    pinterest_untrack(text, text),
    pinterest_retry_tracked(regclass, text),
    pinterest_wait_for_tracked(regclass, interval),
    pinterest_embed_image(bytea),
    pinterest_embed_text(text),
    pinterest_embed_images(bytea[]),
    pinterest_embed_texts(text[]),
    pinterest.nearest_pins(vector, integer, bigint, text, text, boolean),
    pinterest_board_embedding(text, bigint, interval, jsonb, integer, boolean),
    pinterest_board_themes(text, integer, text[], bigint, boolean),
    pinterest_classify(vector, text[]),
    pinterest_recommend(text, regclass, integer, double precision, text, boolean, text[], text, text, bigint, text[], boolean, boolean),
    pinterest_recommend(text[], regclass, integer, double precision, text, boolean, text[], text, text, bigint, text[], boolean, boolean),
    pinterest_pins_like(vector, integer, text, bigint, boolean),
    pinterest_boards_like(text, integer, bigint, boolean),
    pinterest_duplicates(text, double precision, bigint),
    pinterest_gallery(text, json, text, boolean, bigint),
    pinterest_purge_board(text, bigint),
    pinterest_doctor(),
    pinterest_grant(text, text),
    pinterest_revoke(text, boolean),
    pinterest_reassign(text, text),
    pinterest_adopt()
FROM PUBLIC;
REVOKE ALL ON PROCEDURE pinterest_await_import(bigint, interval), pinterest_await_tracked(regclass, interval) FROM PUBLIC;

-- Here, not among the views: the function behind it is the library's.
CREATE VIEW pinterest.workers AS
SELECT w.kind, w.pid, w.state, w.started_at, w.imports, w.images, w.tracked_rows,
       pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) pg_catalog.make_interval(secs => w.seconds_since_heartbeat) AS heartbeat_at
FROM pinterest_workers() w;
COMMENT ON VIEW pinterest.workers IS 'The background processes that serve this database: what each does, what it has in hand, and its last sign of life while it has; one row without a process where pinterest_pause_workers() keeps them away';
REVOKE ALL ON pinterest.workers FROM PUBLIC;

-- Default privileges of the role that creates the extension may have granted something to anybody on what stands above.
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
        ), privileged AS (
            SELECT 'ROUTINE' AS kind, p.oid::pg_catalog.regprocedure::pg_catalog.text AS name, p.proowner AS owner,
                   COALESCE(p.proacl, pg_catalog.acldefault('f', p.proowner)) AS acl
            FROM pg_catalog.pg_proc p JOIN members m ON m.objid OPERATOR(pg_catalog.=) p.oid
            WHERE m.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass
            UNION ALL
            SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::pg_catalog.regclass::pg_catalog.text, c.relowner, c.relacl
            FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
            WHERE n.nspname OPERATOR(pg_catalog.=) 'pinterest' AND c.relkind OPERATOR(pg_catalog.=) ANY (ARRAY['r', 'v', 'S']::pg_catalog."char"[])
            UNION ALL
            SELECT 'SCHEMA', 'pinterest', n.nspowner, n.nspacl FROM pg_catalog.pg_namespace n WHERE n.nspname OPERATOR(pg_catalog.=) 'pinterest'
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

-- Functions, operators and types without a schema in their names were looked for in this schema before pgvector's. Each that
-- stands in a constraint, a view, a policy, an index or a function's body above must be the server's own (initdb's have oids
-- below 16384), pgvector's or ours, not one of the same name that somebody put here.
DO $$
DECLARE
    planted pg_catalog.text;
BEGIN
    WITH RECURSIVE known (extname, classid, objid) AS (
        SELECT e.extname, d.classid, d.objid FROM pg_catalog.pg_depend d
        JOIN pg_catalog.pg_extension e ON d.refobjid OPERATOR(pg_catalog.=) e.oid
        WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass
          AND d.deptype OPERATOR(pg_catalog.=) 'e' AND e.extname OPERATOR(pg_catalog.=) ANY (ARRAY['pg_pinterest', 'vector'])
        UNION
        -- What is a part of these: array types, rules, constraints, indexes, defaults, policies.
        SELECT k.extname, d.classid, d.objid FROM known k
        JOIN pg_catalog.pg_depend d ON d.refclassid OPERATOR(pg_catalog.=) k.classid AND d.refobjid OPERATOR(pg_catalog.=) k.objid
        WHERE d.deptype OPERATOR(pg_catalog.=) 'i'
           OR (d.deptype OPERATOR(pg_catalog.=) 'a' AND k.extname OPERATOR(pg_catalog.=) 'pg_pinterest')
    )
    SELECT i.type OPERATOR(pg_catalog.||) ' ' OPERATOR(pg_catalog.||) i.identity INTO planted
    FROM known k
    JOIN pg_catalog.pg_depend d ON d.classid OPERATOR(pg_catalog.=) k.classid AND d.objid OPERATOR(pg_catalog.=) k.objid
    CROSS JOIN LATERAL pg_catalog.pg_identify_object(d.refclassid, d.refobjid, 0) AS i
    WHERE k.extname OPERATOR(pg_catalog.=) 'pg_pinterest' AND d.refobjid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
      AND d.refclassid OPERATOR(pg_catalog.<>) ALL (ARRAY['pg_catalog.pg_extension'::pg_catalog.regclass, 'pg_catalog.pg_namespace'::pg_catalog.regclass]::pg_catalog.oid[])
      AND NOT EXISTS (SELECT FROM known o WHERE o.classid OPERATOR(pg_catalog.=) d.refclassid AND o.objid OPERATOR(pg_catalog.=) d.refobjid)
    ORDER BY 1 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = pg_catalog.format('pg_pinterest would use the %s, which is neither the server''s nor pgvector''s', planted),
            HINT = 'Drop it and revoke CREATE on this schema from others, or create pg_pinterest in the schema that holds pgvector.';
    END IF;
END
$$;
