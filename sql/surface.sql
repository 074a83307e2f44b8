-- Every function of the extension: the level of pinterest_grant() that may call it, and what it does. Its comment and its
-- privileges follow from its row. An upgrade script that drops a function starts with CREATE OR REPLACE VIEW, because the
-- view depends on it.
CREATE VIEW pinterest.functions AS
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
COMMENT ON VIEW pinterest.functions IS 'The functions of the extension: the level that may call each, and what it does';
COMMENT ON COLUMN pinterest.functions.level IS 'reader, user or admin, see pinterest_grant(); each level includes those before it';

DO $$
DECLARE
    f record;
BEGIN
    FOR f IN SELECT l.function, l.description FROM pinterest.functions l LOOP
        EXECUTE pg_catalog.format('COMMENT ON ROUTINE %s IS %L', f.function, f.description);
    END LOOP;
END
$$;

-- Not in views.sql, because its function is defined by the library and is created after those views.
CREATE VIEW pinterest.workers AS
SELECT w.kind, w.pid, w.state, w.started_at, w.imports, w.images, w.tracked_rows,
       pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) pg_catalog.make_interval(secs => w.seconds_since_heartbeat) AS heartbeat_at
FROM pinterest_workers() w;
COMMENT ON VIEW pinterest.workers IS 'The background processes that serve this database: the state of each, the work that it has claimed, and its last heartbeat while it works; one row without a process if pinterest_pause_workers() has stopped them';

-- Nothing is granted to PUBLIC, as functions and types are by default, nor to other roles, as by the default privileges
-- of the role that creates the extension. For the install script alone: in an upgrade step it would revoke the levels that
-- pinterest_grant() has granted. A step has a block for its new objects.
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

-- Names without a schema were searched for in this schema before pgvector's. Each function, operator and type that a
-- constraint, a view, a policy, an index or a function's body above uses must belong to the server (initdb assigns oids
-- below 16384), to pgvector or to this extension. It must not be an object of the same name that another role has
-- created in this schema.
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
        -- Parts of these objects: array types, rules, constraints, indexes, defaults, policies.
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
            MESSAGE = pg_catalog.format('pg_pinterest would use the %s, which belongs neither to the server nor to pgvector', planted),
            HINT = 'Drop it and revoke CREATE on this schema from other roles, or create pg_pinterest in the schema that contains pgvector.';
    END IF;
END
$$;

-- Counters are kept by database: those of an extension that was dropped are not this one's. The argument's type is given, so that
-- no function of another role in this schema is meant. The extension can be created where nothing is counted.
DO $$
BEGIN
    PERFORM @extschema@.pinterest_stat_reset(NULL::pg_catalog.text);
EXCEPTION WHEN OTHERS THEN
    NULL;
END
$$;
