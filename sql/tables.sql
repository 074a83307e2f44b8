-- The tables. A table is one block: its definition, indexes and comments, the privileges of pinterest_worker, row-level
-- security with its policies, and the marks for pg_dump, without which pg_dump omits the rows and the state of the
-- sequence.
--
-- Plain CREATE throughout: if an object of that name exists, the installation fails instead of adopting it. Pinterest's
-- ids are text. Keys start with account_id, so that the tables can be distributed by account, and so that a duplicate
-- key never reveals the row of another owner.
--
-- Every write goes through a function, which checks the caller's rights and then writes as pinterest_worker. A role
-- that has been granted a level reads the tables that have a policy "own", and sees its own rows of them. See
-- src/store/grants.rs.

-- At most one row, which is inserted on first use: a row inserted here would conflict with the restored one.
CREATE TABLE pinterest.installation (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    installation_id uuid NOT NULL DEFAULT pg_catalog.gen_random_uuid(),
    database_identity text NOT NULL,
    host text NOT NULL,
    rotation_requested_at timestamptz,
    clock_seen_at timestamptz,
    clock_uptime bigint,
    clock_boot text,
    clock_gaps timestamptz[] NOT NULL DEFAULT '{}',
    clock_gap_lengths interval[] NOT NULL DEFAULT '{}',
    rotation_key text,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE pinterest.installation IS 'Internal: the one row that identifies this installation';
COMMENT ON COLUMN pinterest.installation.singleton IS 'Always true: the table has at most one row';
COMMENT ON COLUMN pinterest.installation.installation_id IS 'Bound into every sealed secret; never changes';
COMMENT ON COLUMN pinterest.installation.database_identity IS 'System identifier and oid of the database that may send requests; pinterest_adopt() sets it';
COMMENT ON COLUMN pinterest.installation.host IS 'Digest of the host and data directory that may send requests under clone_fence = strict; pinterest_adopt() sets it';
COMMENT ON COLUMN pinterest.installation.rotation_requested_at IS 'When pinterest_rotate_key() was called; NULL: no rotation is under way';
COMMENT ON COLUMN pinterest.installation.rotation_key IS 'Fingerprint of the key that all secrets are to be sealed with; a worker with another active key does not process the request';
COMMENT ON COLUMN pinterest.installation.clock_seen_at IS 'Time of the clock when a worker last read it; with clock_uptime and clock_boot it distinguishes elapsed time from a clock that was set';
COMMENT ON COLUMN pinterest.installation.clock_uptime IS 'Microseconds between the machine''s start and clock_seen_at';
COMMENT ON COLUMN pinterest.installation.clock_boot IS 'Identifies the start of the machine';
COMMENT ON COLUMN pinterest.installation.clock_gaps IS 'When the clock was found to have jumped forward';
COMMENT ON COLUMN pinterest.installation.clock_gap_lengths IS 'By how much the clock jumped each time; subtracted from the age of older rows, see pinterest.retention';
GRANT SELECT, INSERT, UPDATE, DELETE ON pinterest.installation TO pinterest_worker;
ALTER TABLE pinterest.installation ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY worker ON pinterest.installation TO pinterest_worker USING (true) WITH CHECK (true);
SELECT pg_catalog.pg_extension_config_dump('pinterest.installation', '');

CREATE TABLE pinterest.app (
    app_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner pinterest.role_owner NOT NULL,
    name text NOT NULL CHECK (name OPERATOR(pg_catalog.<>) ''),
    client_id text NOT NULL,
    client_secret bytea,
    redirect_uri text NOT NULL,
    tier text NOT NULL DEFAULT 'trial' CHECK (tier OPERATOR(pg_catalog.=) ANY (ARRAY['trial', 'standard'])),
    created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    refused_in_row integer NOT NULL DEFAULT 0,
    refused_since timestamptz,
    pauses integer NOT NULL DEFAULT 0,
    paused_until timestamptz,
    cause text,
    access_refused_since timestamptz,
    access_refusals integer NOT NULL DEFAULT 0,
    access_refused_of bigint,
    access_cause text,
    access_probe_at timestamptz,
    access_probe_until timestamptz,
    access_granted_at timestamptz,
    access_granted_by bigint
);
-- Not unique among owners that are not roles of this cluster: a dump can be restored in which two roles become the same
-- one of these, and no role can confuse their apps.
CREATE UNIQUE INDEX app_name ON pinterest.app (owner, name)
    WHERE pinterest.owner_oid(owner) OPERATOR(pg_catalog.<>) 0::pg_catalog.oid;
COMMENT ON TABLE pinterest.app IS 'Apps registered with Pinterest';
COMMENT ON COLUMN pinterest.app.owner IS 'The role that registered the app and may use it';
COMMENT ON COLUMN pinterest.app.client_id IS 'The app''s id at Pinterest';
COMMENT ON COLUMN pinterest.app.client_secret IS 'Sealed; NULL: read from pinterest.app_secret_file when needed';
COMMENT ON COLUMN pinterest.app.redirect_uri IS 'Exactly as registered with Pinterest, including a trailing slash';
COMMENT ON COLUMN pinterest.app.tier IS 'Access that Pinterest has given the app: with trial, all of its accounts share one quota; with standard, each has its own';
COMMENT ON COLUMN pinterest.app.refused_in_row IS 'Refresh tokens that Pinterest has refused since it last accepted one';
COMMENT ON COLUMN pinterest.app.refused_since IS 'When the first of them was refused';
COMMENT ON COLUMN pinterest.app.pauses IS 'Pauses in a row; while above 0, a refusal does not count against an account';
COMMENT ON COLUMN pinterest.app.paused_until IS 'Until then no tokens of the app are refreshed; after it those of one account, as a probe';
COMMENT ON COLUMN pinterest.app.cause IS 'Why the app is paused';
COMMENT ON COLUMN pinterest.app.access_refused_since IS 'Since when Pinterest has answered that the app has no access; NULL: it has access';
COMMENT ON COLUMN pinterest.app.access_refusals IS 'Number of such answers in a row';
COMMENT ON COLUMN pinterest.app.access_refused_of IS 'The account of the last request that was refused for this reason';
COMMENT ON COLUMN pinterest.app.access_cause IS 'Pinterest''s answer';
COMMENT ON COLUMN pinterest.app.access_probe_at IS 'When one import of the app sends the next request';
COMMENT ON COLUMN pinterest.app.access_probe_until IS 'Until then one import is sending a request, and others do not';
COMMENT ON COLUMN pinterest.app.access_granted_at IS 'When Pinterest first accepted a request again';
COMMENT ON COLUMN pinterest.app.access_granted_by IS 'The account of that request';
GRANT SELECT, INSERT, UPDATE, DELETE ON pinterest.app TO pinterest_worker;
GRANT USAGE, SELECT, UPDATE ON SEQUENCE pinterest.app_app_id_seq TO pinterest_worker;
ALTER TABLE pinterest.app ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY worker ON pinterest.app TO pinterest_worker USING (true) WITH CHECK (true);
CREATE POLICY own ON pinterest.app FOR SELECT USING (pinterest.is_owner(owner));
SELECT pg_catalog.pg_extension_config_dump('pinterest.app', '');
SELECT pg_catalog.pg_extension_config_dump('pinterest.app_app_id_seq', '');

CREATE TABLE pinterest.account (
    account_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner pinterest.role_owner NOT NULL,
    app_id bigint REFERENCES pinterest.app,
    pinterest_user_id text,
    username text,
    status text NOT NULL DEFAULT 'connected'
        CHECK (status OPERATOR(pg_catalog.=) ANY (ARRAY['connected', 'refresh_uncertain', 'needs_reauth', 'disconnected'])),
    cause text,
    status_since timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    scopes text[] NOT NULL DEFAULT '{}',
    scopes_requested text[] NOT NULL DEFAULT '{}',
    paused_at timestamptz,
    connected_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    identity_due timestamptz,
    UNIQUE (owner, app_id, pinterest_user_id)
);
CREATE INDEX account_identity_due ON pinterest.account (identity_due) WHERE identity_due IS NOT NULL;
COMMENT ON TABLE pinterest.account IS 'Connected Pinterest accounts; a role sees its own';
COMMENT ON COLUMN pinterest.account.owner IS 'The role that connected the account and owns the rows imported through it';
COMMENT ON COLUMN pinterest.account.app_id IS 'The app whose credentials refresh the tokens; NULL: the tokens cannot be refreshed';
COMMENT ON COLUMN pinterest.account.status IS 'connected, refresh_uncertain, needs_reauth or disconnected, see pinterest.accounts';
COMMENT ON COLUMN pinterest.account.cause IS 'Why the account is not connected; the first word is rejected, expired, lost_response or unreadable if only the user can help';
COMMENT ON COLUMN pinterest.account.scopes IS 'All scopes that the user has ever granted the app, as Pinterest reports them; empty: not known';
COMMENT ON COLUMN pinterest.account.scopes_requested IS 'The scopes that were requested from the user';
COMMENT ON COLUMN pinterest.account.paused_at IS 'Since when its imports are paused, see pinterest_pause_account(); its tokens are still refreshed';
COMMENT ON COLUMN pinterest.account.identity_due IS 'When a worker next requests the account''s user from Pinterest, because that request failed at the connect. Until then nothing is imported through the account, and it may prove to be the account of another row; NULL: known, or cannot be known';
GRANT SELECT, INSERT, UPDATE, DELETE ON pinterest.account TO pinterest_worker;
GRANT USAGE, SELECT, UPDATE ON SEQUENCE pinterest.account_account_id_seq TO pinterest_worker;
ALTER TABLE pinterest.account ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY worker ON pinterest.account TO pinterest_worker USING (true) WITH CHECK (true);
CREATE POLICY own ON pinterest.account FOR SELECT USING (pinterest.is_owner(owner));
SELECT pg_catalog.pg_extension_config_dump('pinterest.account', '');
SELECT pg_catalog.pg_extension_config_dump('pinterest.account_account_id_seq', '');

-- One sequence for all accounts: a generation is never used again, even after a disconnect.
CREATE SEQUENCE pinterest.token_generation;
COMMENT ON SEQUENCE pinterest.token_generation IS 'Generations of tokens';
GRANT USAGE, SELECT, UPDATE ON SEQUENCE pinterest.token_generation TO pinterest_worker;
SELECT pg_catalog.pg_extension_config_dump('pinterest.token_generation', '');

CREATE TABLE pinterest.token (
    account_id bigint PRIMARY KEY REFERENCES pinterest.account ON DELETE CASCADE,
    generation bigint NOT NULL DEFAULT pg_catalog.nextval('pinterest.token_generation'),
    consent bigint NOT NULL,
    access_token bytea NOT NULL,
    refresh_token bytea,
    previous_refresh_token bytea,
    access_expires_at timestamptz NOT NULL,
    refresh_expires_at timestamptz,
    refreshed_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    refresh_after timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    attempt_by text,
    uncertain boolean NOT NULL DEFAULT false,
    granted_scopes text[] NOT NULL DEFAULT '{}',
    unsettled boolean NOT NULL DEFAULT false,
    warned_generation bigint,
    dormant_generation bigint
);
CREATE INDEX token_unsettled ON pinterest.token (account_id) WHERE unsettled;
-- Workers read the heads of these indexes. Tokens of accounts that only their users can connect again are in none of them,
-- because they would stay at the heads for ever.
CREATE INDEX token_refresh ON pinterest.token (refresh_after) WHERE refresh_token IS NOT NULL AND dormant_generation IS DISTINCT FROM generation;
CREATE INDEX token_lapse ON pinterest.token (refresh_expires_at) WHERE refresh_token IS NOT NULL AND dormant_generation IS DISTINCT FROM generation;
CREATE INDEX token_lapse_of_access ON pinterest.token (access_expires_at) WHERE refresh_token IS NULL AND dormant_generation IS DISTINCT FROM generation;
CREATE INDEX token_attempt ON pinterest.token (account_id) WHERE attempt_by IS NOT NULL;
-- For the greatest one, see next_generation() in src/store/token.rs.
CREATE INDEX token_generations ON pinterest.token ((GREATEST(generation, consent)));
COMMENT ON TABLE pinterest.token IS 'Internal: sealed OAuth tokens; no level can read them';
COMMENT ON COLUMN pinterest.token.generation IS 'Changes with every stored answer and is never reused; bound into the sealed bytes and compared before they are replaced';
COMMENT ON COLUMN pinterest.token.consent IS 'The generation that was stored by the user''s own consent; refreshes keep it, so the higher value is the later consent';
COMMENT ON COLUMN pinterest.token.access_token IS 'Sealed';
COMMENT ON COLUMN pinterest.token.refresh_token IS 'Sealed; NULL: the tokens cannot be refreshed';
COMMENT ON COLUMN pinterest.token.previous_refresh_token IS 'Sealed: the refresh token before the current one, used if an answer was lost';
COMMENT ON COLUMN pinterest.token.refreshed_at IS 'When these tokens were granted';
COMMENT ON COLUMN pinterest.token.refresh_after IS 'When a worker renews the tokens';
COMMENT ON COLUMN pinterest.token.attempts IS 'Attempts to refresh since the tokens were stored';
COMMENT ON COLUMN pinterest.token.attempt_by IS 'The process that is refreshing the tokens; the attempt ends when its answer is stored or when the process ends';
COMMENT ON COLUMN pinterest.token.uncertain IS 'An answer to a refresh of these tokens was lost: Pinterest may have replaced them';
COMMENT ON COLUMN pinterest.token.granted_scopes IS 'The scopes in the last answer';
COMMENT ON COLUMN pinterest.token.unsettled IS 'The consequences of the last stored answer have yet to be recorded: the account''s status, its app''s pause, its waiting imports. This is done in separate transactions, so that no lock on those rows prevents an answer from being stored';
COMMENT ON COLUMN pinterest.token.warned_generation IS 'The generation for which the warning about its expiry was logged';
COMMENT ON COLUMN pinterest.token.dormant_generation IS 'The generation with which the account became needs_reauth: no worker refreshes it or warns of its expiry';
GRANT SELECT, INSERT, UPDATE, DELETE ON pinterest.token TO pinterest_worker;
ALTER TABLE pinterest.token ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY worker ON pinterest.token TO pinterest_worker USING (true) WITH CHECK (true);
SELECT pg_catalog.pg_extension_config_dump('pinterest.token', '');

-- Without a foreign key, because rows are inserted while another session has locked the account. The process that finds
-- a row stores it in pinterest.token, or deletes it.
CREATE TABLE pinterest.token_answer (
    account_id bigint NOT NULL,
    expected bigint NOT NULL,
    generation bigint NOT NULL,
    access_token bytea NOT NULL,
    refresh_token bytea,
    previous_refresh_token bytea,
    access_expires_at timestamptz NOT NULL,
    refresh_expires_at timestamptz,
    refresh_after timestamptz NOT NULL,
    granted_scopes text[] NOT NULL,
    PRIMARY KEY (account_id, expected)
);
COMMENT ON TABLE pinterest.token_answer IS 'Internal: answers to refreshes that wait for a lock on the row of their tokens; no level can read them';
COMMENT ON COLUMN pinterest.token_answer.expected IS 'The generation of the tokens that the answer replaces; if other tokens have been stored in the meantime, the answer is discarded';
COMMENT ON COLUMN pinterest.token_answer.generation IS 'The generation that they are sealed for';
COMMENT ON COLUMN pinterest.token_answer.access_token IS 'This and the following columns are stored in pinterest.token';
GRANT SELECT, INSERT, UPDATE, DELETE ON pinterest.token_answer TO pinterest_worker;
ALTER TABLE pinterest.token_answer ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY worker ON pinterest.token_answer TO pinterest_worker USING (true) WITH CHECK (true);
SELECT pg_catalog.pg_extension_config_dump('pinterest.token_answer', '');

CREATE TABLE pinterest.oauth_state (
    state_hash bytea PRIMARY KEY,
    owner pinterest.role_owner NOT NULL,
    app_id bigint NOT NULL REFERENCES pinterest.app ON DELETE CASCADE,
    redirect_uri text NOT NULL,
    scopes text[] NOT NULL,
    expires_at timestamptz NOT NULL
);
COMMENT ON TABLE pinterest.oauth_state IS 'Internal: authorizations under way; no level can read them';
COMMENT ON COLUMN pinterest.oauth_state.state_hash IS 'SHA-256 of the state, which can be used once';
COMMENT ON COLUMN pinterest.oauth_state.owner IS 'The role that requested the authorization and may complete it';
COMMENT ON COLUMN pinterest.oauth_state.redirect_uri IS 'The redirect URI of that request, with which the code is exchanged';
COMMENT ON COLUMN pinterest.oauth_state.scopes IS 'The scopes that were requested';
GRANT SELECT, INSERT, UPDATE, DELETE ON pinterest.oauth_state TO pinterest_worker;
ALTER TABLE pinterest.oauth_state ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY worker ON pinterest.oauth_state TO pinterest_worker USING (true) WITH CHECK (true);
SELECT pg_catalog.pg_extension_config_dump('pinterest.oauth_state', '');

-- The owner of an account is repeated in its boards, sections, pins and images: a policy that reads another table would
-- be evaluated for each row, and cannot be applied to tables that are distributed by account. The type works there too:
-- values travel as text, and each node stores the oid that its role of that name has. A dump of version 0.0.1 has no
-- such column; the default belongs to no role until pinterest_adopt(), see own_restored() in src/store/reassign.rs.
CREATE TABLE pinterest.board (
    account_id bigint NOT NULL REFERENCES pinterest.account ON DELETE CASCADE,
    board_id text NOT NULL,
    name text NOT NULL,
    description text,
    privacy text,
    owner_username text,
    pin_count integer,
    created_at timestamptz,
    pins_modified_at timestamptz,
    imported_modified_at timestamptz,
    imported_pin_count integer,
    imported_pins integer,
    unlisted_pins integer,
    gap_pins integer,
    gap_since timestamptz,
    imported_at timestamptz,
    confirmed_at timestamptz,
    sync_every interval CHECK (sync_every OPERATOR(pg_catalog.>=) '5 minutes'),
    next_sync_at timestamptz,
    sync_keeps_images boolean NOT NULL DEFAULT false,
    sync_skips_ai boolean NOT NULL DEFAULT false,
    imported_without_ai boolean NOT NULL DEFAULT false,
    seen_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    sync_keeps_thumbnails boolean NOT NULL DEFAULT false,
    owner pinterest.role_owner NOT NULL DEFAULT 'restored (missing)',
    PRIMARY KEY (account_id, board_id)
);
CREATE INDEX board_sync ON pinterest.board (next_sync_at) WHERE next_sync_at IS NOT NULL;
-- For pinterest.retention; the import of a board that was never confirmed may be long ago.
CREATE INDEX board_confirmed ON pinterest.board ((COALESCE(confirmed_at, '-infinity')));
COMMENT ON TABLE pinterest.board IS 'Boards seen through an account';
COMMENT ON COLUMN pinterest.board.privacy IS 'As Pinterest reports it: PUBLIC, PROTECTED or SECRET';
COMMENT ON COLUMN pinterest.board.pin_count IS 'As Pinterest reports it; includes pins that an app may not be able to see';
COMMENT ON COLUMN pinterest.board.created_at IS 'When the board was created, as Pinterest reports it';
COMMENT ON COLUMN pinterest.board.pins_modified_at IS 'Pinterest''s change marker, board_pins_modified_at';
COMMENT ON COLUMN pinterest.board.imported_modified_at IS 'The change marker at the last complete import; if it equals pins_modified_at, the board has not changed';
COMMENT ON COLUMN pinterest.board.imported_pin_count IS 'pin_count at the last complete import; if it differs now, the board has changed, even if the marker has not';
COMMENT ON COLUMN pinterest.board.imported_pins IS 'Pins that were on the board at the last complete import';
COMMENT ON COLUMN pinterest.board.unlisted_pins IS 'By how many pins Pinterest''s count exceeded its listing at the last complete import: pins that it does not list';
COMMENT ON COLUMN pinterest.board.gap_pins IS 'By how many pins listings have been short since gap_since, the same number each time, with no known pin missing; after a day it becomes unlisted_pins';
COMMENT ON COLUMN pinterest.board.gap_since IS 'When a listing was first short by gap_pins';
COMMENT ON COLUMN pinterest.board.imported_at IS 'When the last complete import ended';
COMMENT ON COLUMN pinterest.board.confirmed_at IS 'When Pinterest last confirmed all pins that are on the board; their age is counted from then, see pinterest.retention';
COMMENT ON COLUMN pinterest.board.sync_every IS 'Interval after which a worker imports the board again, see pinterest_sync_board()';
COMMENT ON COLUMN pinterest.board.sync_keeps_images IS 'keep_images of the import that set sync_every was originals, and so is that of the imports that follow';
COMMENT ON COLUMN pinterest.board.sync_keeps_thumbnails IS 'keep_images of the import that set sync_every was thumbnails or originals, and so is that of the imports that follow';
COMMENT ON COLUMN pinterest.board.sync_skips_ai IS 'skip_ai of the import that set sync_every, for the imports that follow';
COMMENT ON COLUMN pinterest.board.imported_without_ai IS 'The last import of the whole board skipped pins disclosed as made or changed with AI';
COMMENT ON COLUMN pinterest.board.seen_at IS 'When Pinterest last reported the board';
COMMENT ON COLUMN pinterest.board.owner IS 'The owner of the account, who sees the row';
GRANT SELECT, INSERT, UPDATE, DELETE ON pinterest.board TO pinterest_worker;
ALTER TABLE pinterest.board ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY worker ON pinterest.board TO pinterest_worker USING (true) WITH CHECK (true);
CREATE POLICY own ON pinterest.board FOR SELECT USING (pinterest.is_owner(owner));
SELECT pg_catalog.pg_extension_config_dump('pinterest.board', '');

CREATE TABLE pinterest.board_section (
    account_id bigint NOT NULL,
    board_id text NOT NULL,
    section_id text NOT NULL,
    name text NOT NULL,
    owner pinterest.role_owner NOT NULL DEFAULT 'restored (missing)',
    PRIMARY KEY (account_id, board_id, section_id),
    FOREIGN KEY (account_id, board_id) REFERENCES pinterest.board ON DELETE CASCADE
);
COMMENT ON TABLE pinterest.board_section IS 'Sections of boards; pin.board_section_id refers to them';
COMMENT ON COLUMN pinterest.board_section.owner IS 'The owner of the account, who sees the row';
GRANT SELECT, INSERT, UPDATE, DELETE ON pinterest.board_section TO pinterest_worker;
ALTER TABLE pinterest.board_section ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY worker ON pinterest.board_section TO pinterest_worker USING (true) WITH CHECK (true);
CREATE POLICY own ON pinterest.board_section FOR SELECT USING (pinterest.is_owner(owner));
SELECT pg_catalog.pg_extension_config_dump('pinterest.board_section', '');

CREATE TABLE pinterest.pin (
    account_id bigint NOT NULL,
    pin_id text NOT NULL,
    board_id text NOT NULL,
    board_section_id text,
    title text,
    description text,
    link text,
    link_domain text,
    alt_text text,
    dominant_color text,
    creative_type text,
    media_type text,
    parent_pin_id text,
    is_product boolean,
    product_tags json,
    ai_disclosures text[],
    is_ai boolean NOT NULL GENERATED ALWAYS AS (COALESCE(pg_catalog.cardinality(ai_disclosures) OPERATOR(pg_catalog.>) 0, false)) STORED,
    created_at timestamptz,
    raw json NOT NULL,
    no_image text,
    import_id bigint NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    imported_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    missing_since timestamptz,
    removed_at timestamptz,
    owner pinterest.role_owner NOT NULL DEFAULT 'restored (missing)',
    PRIMARY KEY (account_id, pin_id),
    FOREIGN KEY (account_id, board_id) REFERENCES pinterest.board ON DELETE CASCADE
);
CREATE INDEX pin_board ON pinterest.pin (account_id, board_id);
-- For pinterest.retention.
CREATE INDEX pin_removed ON pinterest.pin (removed_at) WHERE removed_at IS NOT NULL;
COMMENT ON TABLE pinterest.pin IS 'Pins of imported boards';
COMMENT ON COLUMN pinterest.pin.link IS 'The address that the pin links to';
COMMENT ON COLUMN pinterest.pin.link_domain IS 'The host of the link, in lower case and without www.; NULL if the link is not a web address';
COMMENT ON COLUMN pinterest.pin.creative_type IS 'An advertising format, from an open list; does not reliably state the kind of media';
COMMENT ON COLUMN pinterest.pin.parent_pin_id IS 'The pin that this one was saved from';
COMMENT ON COLUMN pinterest.pin.is_product IS 'The pin shows a product of a catalogue; NULL: not reported by Pinterest';
COMMENT ON COLUMN pinterest.pin.product_tags IS 'The list of products tagged in the pin, as Pinterest sent it; NULL: none was sent';
COMMENT ON COLUMN pinterest.pin.ai_disclosures IS 'The use of AI that the pin''s author has disclosed, in Pinterest''s terms: AI_MODIFIED (made or changed with AI), SYNTHETIC_PERFORMER (a person shown is generated), or a value not known yet; empty: nothing is disclosed; NULL: not reported by Pinterest';
COMMENT ON COLUMN pinterest.pin.is_ai IS 'ai_disclosures is not empty. False does not mean that no AI was used, only that its use was not disclosed';
COMMENT ON COLUMN pinterest.pin.created_at IS 'When the pin was saved, as Pinterest reports it; weights by age use first_seen_at instead if this is NULL, before 2009, or later than first_seen_at';
COMMENT ON COLUMN pinterest.pin.raw IS 'The pin as Pinterest sent it; json and not jsonb, because text with \u0000 must not fail an import';
COMMENT ON COLUMN pinterest.pin.no_image IS 'Why the pin has no image; NULL if it has one';
COMMENT ON COLUMN pinterest.pin.import_id IS 'The last import that listed the pin';
COMMENT ON COLUMN pinterest.pin.first_seen_at IS 'When the pin was first listed';
COMMENT ON COLUMN pinterest.pin.imported_at IS 'When the pin was last listed';
COMMENT ON COLUMN pinterest.pin.missing_since IS 'When a whole listing first lacked the pin, together with so many others that another listing has to confirm it';
COMMENT ON COLUMN pinterest.pin.removed_at IS 'When an import found that the pin is no longer on the board';
COMMENT ON COLUMN pinterest.pin.owner IS 'The owner of the account, who sees the row';
GRANT SELECT, INSERT, UPDATE, DELETE ON pinterest.pin TO pinterest_worker;
ALTER TABLE pinterest.pin ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY worker ON pinterest.pin TO pinterest_worker USING (true) WITH CHECK (true);
CREATE POLICY own ON pinterest.pin FOR SELECT USING (pinterest.is_owner(owner));
SELECT pg_catalog.pg_extension_config_dump('pinterest.pin', '');

CREATE TABLE pinterest.model (
    model_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    fingerprint bytea NOT NULL UNIQUE,
    name text NOT NULL,
    weights_sha256 text NOT NULL,
    precision text NOT NULL,
    preprocessing text NOT NULL,
    dimension integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    used_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE pinterest.model IS 'Models that have made embeddings: weights, precision and preprocessing; vectors of different models cannot be compared. The view pinterest.models is easier to read';
COMMENT ON COLUMN pinterest.model.fingerprint IS 'SHA-256 of weights, precision, preprocessing and dimension: models that differ in one of them are different';
COMMENT ON COLUMN pinterest.model.precision IS 'Precision of the matrix products, as selected by pinterest.clip_precision: f32, bf16, or int8 with the size of its groups';
COMMENT ON COLUMN pinterest.model.preprocessing IS 'Names the procedure from encoded image to model input';
COMMENT ON COLUMN pinterest.model.used_at IS 'When an import last began to work with it';
GRANT SELECT, INSERT, UPDATE, DELETE ON pinterest.model TO pinterest_worker;
GRANT USAGE, SELECT, UPDATE ON SEQUENCE pinterest.model_model_id_seq TO pinterest_worker;
-- Without row-level security: a model belongs to no account, and every role with a level may read all of them.
SELECT pg_catalog.pg_extension_config_dump('pinterest.model', '');
SELECT pg_catalog.pg_extension_config_dump('pinterest.model_model_id_seq', '');

-- One row per image of a pin: a carousel has several, a video has its cover. It is also the unit of work of an import.
CREATE TABLE pinterest.pin_image (
    account_id bigint NOT NULL,
    pin_id text NOT NULL,
    position integer NOT NULL,
    kind text NOT NULL,
    candidates json NOT NULL,
    content_hash text,
    state text NOT NULL DEFAULT 'pending'
        CHECK (state OPERATOR(pg_catalog.=) ANY (ARRAY['pending', 'embedded', 'skipped', 'failed'])),
    reason text,
    reason_code text,
    import_id bigint NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    claimed_by text,
    lease_until timestamptz,
    fence bigint NOT NULL DEFAULT 0,
    source_size text,
    cropped boolean,
    animated boolean,
    sha256 bytea,
    embedding vector(512),
    model_id bigint REFERENCES pinterest.model,
    embedded_at timestamptz,
    image bytea,
    stale boolean NOT NULL DEFAULT false,
    previous_hash text,
    missed_by bigint,
    misses integer NOT NULL DEFAULT 0,
    thumbnail bytea,
    owner pinterest.role_owner NOT NULL DEFAULT 'restored (missing)',
    PRIMARY KEY (account_id, pin_id, position),
    FOREIGN KEY (account_id, pin_id) REFERENCES pinterest.pin ON DELETE CASCADE,
    CONSTRAINT pin_image_embedding_is_a_unit_vector
        CHECK (pg_catalog.abs(vector_norm(embedding) OPERATOR(pg_catalog.-) 1) OPERATOR(pg_catalog.<) 1e-3),
    CONSTRAINT pin_image_embedded_has_embedding_and_model
        CHECK ((state OPERATOR(pg_catalog.<>) 'embedded' OR embedding IS NOT NULL)
               AND (state OPERATOR(pg_catalog.<>) ALL (ARRAY['skipped', 'failed']) OR embedding IS NULL)
               AND (embedding IS NULL) OPERATOR(pg_catalog.=) (model_id IS NULL)),
    CONSTRAINT pin_image_without_embedding_has_reason
        CHECK (state OPERATOR(pg_catalog.<>) ALL (ARRAY['skipped', 'failed']) OR reason IS NOT NULL)
) WITH (fillfactor = 70);
-- 512 dimensions are 2,056 bytes, just above the threshold of TOAST; stored inline, an exact scan is several times
-- faster.
ALTER TABLE pinterest.pin_image ALTER COLUMN embedding SET STORAGE PLAIN;
-- In the order in which images are claimed, and for the search of a claim for equal images.
CREATE INDEX pin_image_ready ON pinterest.pin_image (account_id, import_id, next_attempt_at, pin_id, position)
    WHERE state OPERATOR(pg_catalog.=) 'pending';
CREATE INDEX pin_image_pending ON pinterest.pin_image (content_hash) WHERE state OPERATOR(pg_catalog.=) 'pending';
CREATE INDEX pin_image_missed ON pinterest.pin_image (account_id, missed_by) WHERE missed_by IS NOT NULL;
-- With the hash first, because pinterest.reuse_across_accounts searches all accounts.
CREATE INDEX pin_image_content ON pinterest.pin_image (content_hash, account_id) WHERE content_hash IS NOT NULL;
CREATE INDEX pin_image_sha256 ON pinterest.pin_image (sha256, account_id) WHERE sha256 IS NOT NULL;
-- For the numbers of images by model, in pinterest.models and pinterest_doctor(), which read no vectors.
CREATE INDEX pin_image_model ON pinterest.pin_image (model_id, account_id) WHERE model_id IS NOT NULL;
COMMENT ON TABLE pinterest.pin_image IS 'The images of pins, their state and their CLIP embeddings';
COMMENT ON COLUMN pinterest.pin_image.position IS '0-based position within the pin';
COMMENT ON COLUMN pinterest.pin_image.kind IS 'image, or video_cover for the cover of a video';
COMMENT ON COLUMN pinterest.pin_image.candidates IS 'URLs that Pinterest sent for this image, the one to show first: [{"size", "url", "cropped", "width", "height"}]; pinterest.image_size decides which is downloaded';
COMMENT ON COLUMN pinterest.pin_image.content_hash IS 'The content hash in the CDN''s URLs: images of equal hash are equal';
COMMENT ON COLUMN pinterest.pin_image.state IS 'pending, embedded, skipped or failed';
COMMENT ON COLUMN pinterest.pin_image.reason IS 'Why the image was skipped or failed, or why the last attempt on a pending image failed';
COMMENT ON COLUMN pinterest.pin_image.reason_code IS 'The reason in one word, as counted by pinterest.import_report';
COMMENT ON COLUMN pinterest.pin_image.import_id IS 'The import that has processed the image, or is to process it';
COMMENT ON COLUMN pinterest.pin_image.fence IS 'Grows with every claim; a result is recorded only under the fence it was claimed with';
COMMENT ON COLUMN pinterest.pin_image.source_size IS 'The size that was downloaded';
COMMENT ON COLUMN pinterest.pin_image.cropped IS 'The only available size was one that Pinterest crops to a fixed box';
COMMENT ON COLUMN pinterest.pin_image.animated IS 'The image has several frames, of which the first is embedded: see pinterest.animated_images';
COMMENT ON COLUMN pinterest.pin_image.sha256 IS 'SHA-256 of the downloaded bytes';
COMMENT ON COLUMN pinterest.pin_image.embedding IS 'CLIP ViT-B/32 image embedding, 512 dimensions, unit length; NULL until state is embedded; while pending it may be that of the previous image, until the new one has been computed';
COMMENT ON COLUMN pinterest.pin_image.model_id IS 'The model that made the embedding; pinterest_reembed_board() replaces embeddings of models other than the present one';
COMMENT ON COLUMN pinterest.pin_image.image IS 'The downloaded bytes, stored only if keep_images of an import was originals';
COMMENT ON COLUMN pinterest.pin_image.thumbnail IS 'A JPEG of at most 320 x 320 pixels and 64 kB, made by the embedder and stored only if keep_images of an import was thumbnails or originals; empty if none can be made of the image';
COMMENT ON COLUMN pinterest.pin_image.stale IS 'Embedding, bytes and thumbnail are those of the previous image: the listing has a new one, which has yet to be downloaded and embedded';
COMMENT ON COLUMN pinterest.pin_image.previous_hash IS 'The content hash of the previous image, if stale';
COMMENT ON COLUMN pinterest.pin_image.missed_by IS 'The last import that listed the pin without this image';
COMMENT ON COLUMN pinterest.pin_image.misses IS 'How many imports in a row have listed the pin without this image, or with a new image that could not be downloaded or decoded; at the second, the image or its old embedding is deleted';
COMMENT ON COLUMN pinterest.pin_image.owner IS 'The owner of the account, who sees the row';
GRANT SELECT, INSERT, UPDATE, DELETE ON pinterest.pin_image TO pinterest_worker;
ALTER TABLE pinterest.pin_image ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY worker ON pinterest.pin_image TO pinterest_worker USING (true) WITH CHECK (true);
CREATE POLICY own ON pinterest.pin_image FOR SELECT USING (pinterest.is_owner(owner));
SELECT pg_catalog.pg_extension_config_dump('pinterest.pin_image', '');

CREATE TABLE pinterest.import (
    import_id bigint GENERATED ALWAYS AS IDENTITY,
    account_id bigint NOT NULL REFERENCES pinterest.account ON DELETE CASCADE,
    board_reference text NOT NULL,
    board_id text,
    keep_images boolean NOT NULL DEFAULT false,
    skip_ai boolean NOT NULL DEFAULT false,
    sections text[],
    max_images integer CHECK (max_images OPERATOR(pg_catalog.>) 0),
    sync_every interval CHECK (sync_every OPERATOR(pg_catalog.>=) '5 minutes'),
    reembed boolean NOT NULL DEFAULT false,
    model_id bigint REFERENCES pinterest.model,
    state text NOT NULL DEFAULT 'queued'
        CHECK (state OPERATOR(pg_catalog.=) ANY (ARRAY['queued', 'running', 'waiting_quota', 'waiting_access', 'needs_reauth', 'completed', 'failed', 'cancelled'])),
    phase text NOT NULL DEFAULT 'resolving'
        CHECK (phase OPERATOR(pg_catalog.=) ANY (ARRAY['resolving', 'listing', 'images', 'finished'])),
    bookmark text,
    listing_complete boolean NOT NULL DEFAULT false,
    listed_at timestamptz,
    coverage text CHECK (coverage OPERATOR(pg_catalog.=) ANY (ARRAY['whole', 'until_known', 'until_limit', 'incomplete', 'sample', 'sections', 'unchanged', 'stored'])),
    modified_at_start timestamptz,
    cancel_requested boolean NOT NULL DEFAULT false,
    reason text,
    error_code text,
    hint text,
    attempts integer NOT NULL DEFAULT 0,
    deaths integer NOT NULL DEFAULT 0,
    wake_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    due boolean DEFAULT false,
    turn_owner text COLLATE pg_catalog."C",
    claimed_by text,
    lease_until timestamptz,
    fence bigint NOT NULL DEFAULT 0,
    pins_reported integer,
    pins_unreadable integer NOT NULL DEFAULT 0,
    doubts integer NOT NULL DEFAULT 0,
    pins_listed integer NOT NULL DEFAULT 0,
    pins_new integer NOT NULL DEFAULT 0,
    pins_without_image integer NOT NULL DEFAULT 0,
    pins_removed integer NOT NULL DEFAULT 0,
    images_total integer NOT NULL DEFAULT 0,
    images_embedded integer NOT NULL DEFAULT 0,
    images_reused integer NOT NULL DEFAULT 0,
    images_skipped integer NOT NULL DEFAULT 0,
    images_failed integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    started_at timestamptz,
    finished_at timestamptz,
    keep_thumbnails boolean NOT NULL DEFAULT false,
    PRIMARY KEY (account_id, import_id),
    CONSTRAINT import_due_waits
        CHECK (due IS NULL OR state OPERATOR(pg_catalog.=) ANY (ARRAY['queued', 'waiting_quota', 'waiting_access']))
) WITH (fillfactor = 70);
CREATE INDEX import_id ON pinterest.import (import_id);
-- The queue. An import sleeps until its wake_at, is then due, and is claimed in its turn: each step reads the head of
-- one of these indexes, however many imports wait behind it.
CREATE INDEX import_sleeping ON pinterest.import (wake_at) WHERE NOT due;
CREATE INDEX import_turn ON pinterest.import (turn_owner, account_id) WHERE due;
CREATE INDEX import_due ON pinterest.import (account_id, wake_at, import_id) WHERE due;
CREATE INDEX import_held ON pinterest.import (account_id)
    WHERE due IS NULL AND state OPERATOR(pg_catalog.=) ANY (ARRAY['queued', 'waiting_quota', 'waiting_access']);
CREATE INDEX import_running ON pinterest.import (account_id, board_id) WHERE state OPERATOR(pg_catalog.=) 'running';
-- For pinterest.retention.
CREATE INDEX import_finished ON pinterest.import (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX import_open ON pinterest.import (account_id, board_id)
    WHERE state OPERATOR(pg_catalog.=) ANY (ARRAY['queued', 'running', 'waiting_quota', 'waiting_access', 'needs_reauth']);
COMMENT ON TABLE pinterest.import IS 'Imports of boards, past and under way; the view pinterest.imports is easier to read';
COMMENT ON COLUMN pinterest.import.board_reference IS 'The board as given by the caller: an id, a title or an address';
COMMENT ON COLUMN pinterest.import.keep_images IS 'keep_images was originals: the downloaded bytes are stored';
COMMENT ON COLUMN pinterest.import.keep_thumbnails IS 'keep_images was thumbnails or originals: thumbnails are stored. An import of version 0.0.1 with keep_images stores them too';
COMMENT ON COLUMN pinterest.import.skip_ai IS 'Images of pins disclosed as made or changed with AI are skipped';
COMMENT ON COLUMN pinterest.import.sections IS 'Names or ids of the sections to import; NULL: the whole board';
COMMENT ON COLUMN pinterest.import.max_images IS 'The listing ends with the pin that reaches this number of images';
COMMENT ON COLUMN pinterest.import.sync_every IS 'Value for board.sync_every when the import completes';
COMMENT ON COLUMN pinterest.import.reembed IS 'Created by pinterest_reembed_board(): lists nothing, and works on images whose embedding another model made';
COMMENT ON COLUMN pinterest.import.model_id IS 'The model that embeds its images; if the model changes while the import is under way, the new one embeds all of them';
COMMENT ON COLUMN pinterest.import.state IS 'See pinterest.imports';
COMMENT ON COLUMN pinterest.import.phase IS 'resolving the board, listing its pins, working on images, or finished';
COMMENT ON COLUMN pinterest.import.bookmark IS 'Where the listing continues; committed together with the page before it';
COMMENT ON COLUMN pinterest.import.listing_complete IS 'The listing has ended';
COMMENT ON COLUMN pinterest.import.listed_at IS 'When the last page was stored; after that the completeness of the listing is assessed';
COMMENT ON COLUMN pinterest.import.coverage IS 'How much of the board the listing covered; only a whole listing shows which pins have been removed';
COMMENT ON COLUMN pinterest.import.modified_at_start IS 'The board''s change marker when the listing began';
COMMENT ON COLUMN pinterest.import.cancel_requested IS 'pinterest_cancel_import() was called while the import was running';
COMMENT ON COLUMN pinterest.import.reason IS 'Why the import waits or has failed';
COMMENT ON COLUMN pinterest.import.error_code IS 'SQLSTATE of the reason';
COMMENT ON COLUMN pinterest.import.deaths IS 'How often a worker has crashed while it held the import, since its last progress; at the third time the import fails';
COMMENT ON COLUMN pinterest.import.wake_at IS 'When a queued or waiting import continues';
COMMENT ON COLUMN pinterest.import.due IS 'Of a waiting import: true once wake_at has passed, false before, NULL while its account is paused or cannot be used';
COMMENT ON COLUMN pinterest.import.turn_owner IS 'The account''s owner when the import became due; owners take turns';
COMMENT ON COLUMN pinterest.import.fence IS 'Grows with every claim; a worker records results only under the fence it claimed with';
COMMENT ON COLUMN pinterest.import.pins_reported IS 'Pins on the board as Pinterest counts them';
COMMENT ON COLUMN pinterest.import.pins_unreadable IS 'Listed items that could not be read';
COMMENT ON COLUMN pinterest.import.doubts IS 'Pins and images that were listed differently than before, and that the next import has to check again';
COMMENT ON COLUMN pinterest.import.pins_new IS 'Of the listed pins, those that had not been listed on this board before';
COMMENT ON COLUMN pinterest.import.images_reused IS 'Images that needed neither a download nor inference, because their embedding existed';
GRANT SELECT, INSERT, UPDATE, DELETE ON pinterest.import TO pinterest_worker;
GRANT USAGE, SELECT, UPDATE ON SEQUENCE pinterest.import_import_id_seq TO pinterest_worker;
ALTER TABLE pinterest.import ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY worker ON pinterest.import TO pinterest_worker USING (true) WITH CHECK (true);
-- The policy of pinterest.account applies to the subquery. EXISTS, here and below, lets the planner choose between a search for
-- the account of each row and a hash of all accounts of the role, which takes 60 ms for 100,000 of them; IN has only the hash.
CREATE POLICY own ON pinterest.import FOR SELECT
    USING (EXISTS (SELECT FROM pinterest.account a WHERE a.account_id OPERATOR(pg_catalog.=) import.account_id));
SELECT pg_catalog.pg_extension_config_dump('pinterest.import', '');
SELECT pg_catalog.pg_extension_config_dump('pinterest.import_import_id_seq', '');

CREATE TABLE pinterest.import_outcome (
    account_id bigint NOT NULL,
    import_id bigint NOT NULL,
    item text NOT NULL CHECK (item OPERATOR(pg_catalog.=) ANY (ARRAY['pin', 'image'])),
    outcome text NOT NULL,
    reason text NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (account_id, import_id, item, outcome, reason),
    FOREIGN KEY (account_id, import_id) REFERENCES pinterest.import ON DELETE CASCADE
);
COMMENT ON TABLE pinterest.import_outcome IS 'The results for the pins and images of each import, counted; the view pinterest.import_report is easier to read';
COMMENT ON COLUMN pinterest.import_outcome.item IS 'pin or image';
COMMENT ON COLUMN pinterest.import_outcome.outcome IS 'The result, such as embedded or skipped';
COMMENT ON COLUMN pinterest.import_outcome.reason IS 'The reason in one word; empty: none';
COMMENT ON COLUMN pinterest.import_outcome.count IS 'Number of pins or images with this result and reason';
GRANT SELECT, INSERT, UPDATE, DELETE ON pinterest.import_outcome TO pinterest_worker;
ALTER TABLE pinterest.import_outcome ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY worker ON pinterest.import_outcome TO pinterest_worker USING (true) WITH CHECK (true);
CREATE POLICY own ON pinterest.import_outcome FOR SELECT
    USING (EXISTS (SELECT FROM pinterest.account a WHERE a.account_id OPERATOR(pg_catalog.=) import_outcome.account_id));
SELECT pg_catalog.pg_extension_config_dump('pinterest.import_outcome', '');

-- A row belongs either to an app (trial: one quota for all of its accounts) or to an account.
CREATE TABLE pinterest.quota_ledger (
    quota_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    app_id bigint REFERENCES pinterest.app ON DELETE CASCADE,
    account_id bigint REFERENCES pinterest.account ON DELETE CASCADE,
    category text NOT NULL,
    request_limit bigint NOT NULL,
    remaining bigint NOT NULL,
    window_length interval NOT NULL,
    reset_at timestamptz NOT NULL,
    observed_at timestamptz,
    pace interval,
    paced_until timestamptz,
    refused_in_row integer NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX quota_ledger_key ON pinterest.quota_ledger (COALESCE(app_id, 0), COALESCE(account_id, 0), category);
-- For the deletion of an account.
CREATE INDEX quota_ledger_account ON pinterest.quota_ledger (account_id) WHERE account_id IS NOT NULL;
COMMENT ON TABLE pinterest.quota_ledger IS 'Requests that Pinterest allows, and the remaining ones; the view pinterest.quota is easier to read';
COMMENT ON COLUMN pinterest.quota_ledger.category IS 'Pinterest''s category of requests that the quota applies to';
COMMENT ON COLUMN pinterest.quota_ledger.request_limit IS 'Requests that Pinterest allows in each window';
COMMENT ON COLUMN pinterest.quota_ledger.remaining IS 'Requests left in the present window';
COMMENT ON COLUMN pinterest.quota_ledger.reset_at IS 'When the present window ends';
COMMENT ON COLUMN pinterest.quota_ledger.observed_at IS 'When an answer from Pinterest last stated these values; NULL: they are the documented ones';
COMMENT ON COLUMN pinterest.quota_ledger.pace IS 'The minimum time between two requests, if Pinterest sends a policy of a few seconds';
COMMENT ON COLUMN pinterest.quota_ledger.paced_until IS 'No request is made before this time';
COMMENT ON COLUMN pinterest.quota_ledger.refused_in_row IS 'Refusals in a row that did not state how long to wait';
GRANT SELECT, INSERT, UPDATE, DELETE ON pinterest.quota_ledger TO pinterest_worker;
GRANT USAGE, SELECT, UPDATE ON SEQUENCE pinterest.quota_ledger_quota_id_seq TO pinterest_worker;
ALTER TABLE pinterest.quota_ledger ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY worker ON pinterest.quota_ledger TO pinterest_worker USING (true) WITH CHECK (true);
CREATE POLICY own ON pinterest.quota_ledger FOR SELECT
    USING (EXISTS (SELECT FROM pinterest.app p WHERE p.app_id OPERATOR(pg_catalog.=) quota_ledger.app_id)
        OR EXISTS (SELECT FROM pinterest.account a WHERE a.account_id OPERATOR(pg_catalog.=) quota_ledger.account_id));
SELECT pg_catalog.pg_extension_config_dump('pinterest.quota_ledger', '');
SELECT pg_catalog.pg_extension_config_dump('pinterest.quota_ledger_quota_id_seq', '');

-- A vector column of a user's table that is computed from another column. The trigger pinterest_track_<id> with `tie`
-- as its first argument connects the row with its table, also after renames, dumps and restores. The id alone would
-- not, because a copy of the schema starts counting again. The oid is only a hint where to search for the trigger
-- first.
CREATE TABLE pinterest.tracked_column (
    tracked_column_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tie uuid NOT NULL UNIQUE DEFAULT pg_catalog.gen_random_uuid(),
    table_oid oid,
    owner pinterest.role_owner NOT NULL,
    table_schema text NOT NULL,
    table_name text NOT NULL,
    key_columns text[] NOT NULL CHECK (pg_catalog.cardinality(key_columns) OPERATOR(pg_catalog.>) 0),
    source_kind text NOT NULL
        CHECK (source_kind OPERATOR(pg_catalog.=) ANY (ARRAY['image', 'image_url', 'text'])),
    source_column text NOT NULL,
    embedding_column text NOT NULL,
    problem text,
    problem_code text,
    problem_hint text,
    pauses integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE pinterest.tracked_column IS 'Vector columns of your tables that are computed from another column; the view pinterest.tracked is easier to read';
COMMENT ON COLUMN pinterest.tracked_column.tie IS 'The first argument of the triggers on the table, which connects the table with this row';
COMMENT ON COLUMN pinterest.tracked_column.table_oid IS 'The table on which the triggers were last found; in a restored dump it is the oid of another table, or of none';
COMMENT ON COLUMN pinterest.tracked_column.owner IS 'The table''s owner when the column was declared; rows of a table that has changed owner are not processed';
COMMENT ON COLUMN pinterest.tracked_column.table_name IS 'The table''s name when the column was declared, for information; the triggers connect the table with this row';
COMMENT ON COLUMN pinterest.tracked_column.source_kind IS 'image, image_url or text';
COMMENT ON COLUMN pinterest.tracked_column.problem IS 'Why no row can be processed now; NULL: no problem';
COMMENT ON COLUMN pinterest.tracked_column.problem_code IS 'SQLSTATE of the problem';
COMMENT ON COLUMN pinterest.tracked_column.problem_hint IS 'How to solve it';
COMMENT ON COLUMN pinterest.tracked_column.pauses IS 'Number of pauses in a row; each pause is twice as long as the previous one';
COMMENT ON COLUMN pinterest.tracked_column.next_attempt_at IS 'When the workers check again whether the problem persists';
GRANT SELECT, INSERT, UPDATE, DELETE ON pinterest.tracked_column TO pinterest_worker;
GRANT USAGE, SELECT, UPDATE ON SEQUENCE pinterest.tracked_column_tracked_column_id_seq TO pinterest_worker;
ALTER TABLE pinterest.tracked_column ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY worker ON pinterest.tracked_column TO pinterest_worker USING (true) WITH CHECK (true);
-- A table may belong to a group role: its members have the rights on its tracked columns.
CREATE POLICY own ON pinterest.tracked_column FOR SELECT USING (pinterest.has_rights_of(owner));
SELECT pg_catalog.pg_extension_config_dump('pinterest.tracked_column', '');
SELECT pg_catalog.pg_extension_config_dump('pinterest.tracked_column_tracked_column_id_seq', '');

-- One sequence for all rows: a row that is deleted and inserted again never has the version that a worker has read.
CREATE SEQUENCE pinterest.tracked_version;
COMMENT ON SEQUENCE pinterest.tracked_version IS 'Versions of tracked rows';
GRANT USAGE, SELECT, UPDATE ON SEQUENCE pinterest.tracked_version TO pinterest_worker;
SELECT pg_catalog.pg_extension_config_dump('pinterest.tracked_version', '');

-- One row per row of the user's table whose source is not NULL. It is also the unit of work. Without a foreign key on
-- tracked_column: it would be checked with the snapshot of the user's transaction, which may be older than the
-- declaration, and every writer would lock the same row. A session that ends tracking locks its table first, and
-- deletes the rows as well.
CREATE TABLE pinterest.tracked_row (
    tracked_column_id bigint NOT NULL,
    key text[] COLLATE pg_catalog."C" NOT NULL,
    state text NOT NULL DEFAULT 'pending'
        CHECK (state OPERATOR(pg_catalog.=) ANY (ARRAY['pending', 'embedded', 'failed'])),
    reason text,
    reason_code text,
    version bigint NOT NULL DEFAULT pg_catalog.nextval('pinterest.tracked_version'),
    fence bigint NOT NULL DEFAULT 0,
    attempts integer NOT NULL DEFAULT 0,
    deaths integer NOT NULL DEFAULT 0,
    refusals integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    claimed_by text,
    lease_until timestamptz,
    source_sha256 bytea,
    model_id bigint REFERENCES pinterest.model,
    embedded_at timestamptz,
    PRIMARY KEY (tracked_column_id, key),
    CONSTRAINT tracked_row_embedded_has_source_and_model
        CHECK (state OPERATOR(pg_catalog.<>) 'embedded' OR source_sha256 IS NOT NULL AND model_id IS NOT NULL),
    CONSTRAINT tracked_row_failed_has_reason CHECK (state OPERATOR(pg_catalog.<>) 'failed' OR reason IS NOT NULL)
) WITH (fillfactor = 70);
CREATE INDEX tracked_row_ready ON pinterest.tracked_row (tracked_column_id, next_attempt_at)
    WHERE state OPERATOR(pg_catalog.=) 'pending';
-- For pinterest.stat_tracked, and for pinterest_retry_tracked().
CREATE INDEX tracked_row_failed ON pinterest.tracked_row (tracked_column_id) WHERE state OPERATOR(pg_catalog.=) 'failed';
CREATE INDEX tracked_row_model ON pinterest.tracked_row (tracked_column_id, model_id) WHERE model_id IS NOT NULL;
COMMENT ON TABLE pinterest.tracked_row IS 'The rows of tracked tables that have a source, and the state of their embeddings; the views pinterest.tracked and pinterest.tracked_failures are easier to read';
COMMENT ON COLUMN pinterest.tracked_row.key IS 'The values of the key columns as text';
COMMENT ON COLUMN pinterest.tracked_row.state IS 'pending, embedded or failed';
COMMENT ON COLUMN pinterest.tracked_row.reason IS 'Why the row failed, or why the last attempt on a pending row failed';
COMMENT ON COLUMN pinterest.tracked_row.reason_code IS 'SQLSTATE of the reason';
COMMENT ON COLUMN pinterest.tracked_row.version IS 'Grows with every change of the source; an embedding is recorded only under the version that was read';
COMMENT ON COLUMN pinterest.tracked_row.fence IS 'Grows with every claim; a result is recorded only under the fence it was claimed with';
COMMENT ON COLUMN pinterest.tracked_row.deaths IS 'Number of processes that ended while they ran the table''s code for this row; at three it fails';
COMMENT ON COLUMN pinterest.tracked_row.refusals IS 'Attempts since the last success that did not count, because the table refused them with a transient error, such as a lock; from the twentieth on they count';
COMMENT ON COLUMN pinterest.tracked_row.source_sha256 IS 'SHA-256 of the source from which the embedding in the table was made';
COMMENT ON COLUMN pinterest.tracked_row.model_id IS 'The model that made the embedding in the table; NULL: the table has none';
GRANT SELECT, INSERT, UPDATE, DELETE ON pinterest.tracked_row TO pinterest_worker;
ALTER TABLE pinterest.tracked_row ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY worker ON pinterest.tracked_row TO pinterest_worker USING (true) WITH CHECK (true);
CREATE POLICY own ON pinterest.tracked_row FOR SELECT USING (tracked_column_id IN (SELECT c.tracked_column_id FROM pinterest.tracked_column c));
SELECT pg_catalog.pg_extension_config_dump('pinterest.tracked_row', '');
