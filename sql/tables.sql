-- The state of pg_pinterest. Plain CREATE throughout: an existing object of these names makes the installation fail
-- instead of being adopted. Pinterest's ids are text. Keys lead with account_id, so that the tables can be distributed by
-- account and no duplicate-key error tells one owner about another's row.

-- Public: nothing. One row, made on first use: a row seeded here would collide when a dump is restored.
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
COMMENT ON TABLE pinterest.installation IS 'The one row that identifies this installation; internal';
COMMENT ON COLUMN pinterest.installation.installation_id IS 'Bound into every sealed secret; never changes';
COMMENT ON COLUMN pinterest.installation.database_identity IS 'System identifier and oid of the database that may send requests out; pinterest_adopt() sets it';
COMMENT ON COLUMN pinterest.installation.host IS 'Digest of the host and data directory that may send requests out under clone_fence = strict; pinterest_adopt() sets it';
COMMENT ON COLUMN pinterest.installation.clock_seen_at IS 'What the clock showed when a worker last looked; with clock_uptime and clock_boot it distinguishes time that passed from a clock that was set';
COMMENT ON COLUMN pinterest.installation.clock_uptime IS 'Microseconds since the machine''s start at that time';
COMMENT ON COLUMN pinterest.installation.clock_boot IS 'Identifies the start of the machine';
COMMENT ON COLUMN pinterest.installation.clock_gaps IS 'When the clock was found to have jumped forward; clock_gap_lengths is subtracted from the age of what is older, see pinterest.retention';
COMMENT ON COLUMN pinterest.installation.rotation_requested_at IS 'pinterest_rotate_key() was called and the worker is not through yet';
COMMENT ON COLUMN pinterest.installation.rotation_key IS 'Fingerprint of the key that everything is to be sealed with; a worker that has another active key does not act on the request';

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
-- Apps of owners that are no role of this cluster have no owner that could mistake one for the other: a dump in which
-- two roles become one of these must not fail to be restored.
CREATE UNIQUE INDEX app_name ON pinterest.app (owner, name)
    WHERE pinterest.owner_oid(owner) OPERATOR(pg_catalog.<>) 0::pg_catalog.oid;
COMMENT ON TABLE pinterest.app IS 'Apps registered with Pinterest; the client secret is sealed';
COMMENT ON COLUMN pinterest.app.owner IS 'The role that registered the app and may use it';
COMMENT ON COLUMN pinterest.app.tier IS 'Access that Pinterest gave the app: on trial all of its accounts share one quota, on standard each has its own';
COMMENT ON COLUMN pinterest.app.client_secret IS 'Sealed; NULL: read from pinterest.app_secret_file whenever it is needed';
COMMENT ON COLUMN pinterest.app.access_refused_since IS 'Since when Pinterest says that it has not granted the app access; NULL: it does not say so';
COMMENT ON COLUMN pinterest.app.access_refusals IS 'How often in a row Pinterest has said so';
COMMENT ON COLUMN pinterest.app.access_refused_of IS 'The account of the last request that Pinterest refused for this reason';
COMMENT ON COLUMN pinterest.app.access_cause IS 'What Pinterest answered';
COMMENT ON COLUMN pinterest.app.access_probe_at IS 'When one import of the app asks again';
COMMENT ON COLUMN pinterest.app.access_probe_until IS 'One import is asking now, and until this time no other does';
COMMENT ON COLUMN pinterest.app.access_granted_at IS 'When Pinterest first answered again';
COMMENT ON COLUMN pinterest.app.access_granted_by IS 'The account whose request it answered then';
COMMENT ON COLUMN pinterest.app.refused_in_row IS 'Refresh tokens that Pinterest refused since it last accepted one';
COMMENT ON COLUMN pinterest.app.refused_since IS 'When the first of them was refused';
COMMENT ON COLUMN pinterest.app.pauses IS 'Pauses in a row; while above 0, no refusal counts against an account';
COMMENT ON COLUMN pinterest.app.paused_until IS 'Until then no tokens of the app are refreshed, then one account''s, as a probe';
COMMENT ON COLUMN pinterest.app.cause IS 'Why the app is paused';
COMMENT ON COLUMN pinterest.app.redirect_uri IS 'Literally as registered with Pinterest, trailing slash included';

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
COMMENT ON COLUMN pinterest.account.owner IS 'The role that connected the account and owns what is imported through it';
COMMENT ON COLUMN pinterest.account.app_id IS 'The app whose credentials refresh the tokens; NULL: tokens are only as good as they were stored';
COMMENT ON COLUMN pinterest.account.cause IS 'Why the account is not connected; the first word is rejected, expired, lost_response or unreadable where only the user can help';
COMMENT ON COLUMN pinterest.account.scopes IS 'All that the user has ever granted the app, as Pinterest reports it; empty: not known';
COMMENT ON COLUMN pinterest.account.scopes_requested IS 'What the user was asked for';
COMMENT ON COLUMN pinterest.account.paused_at IS 'Since when its imports pause, see pinterest_pause_account(); its tokens are refreshed all the same';
COMMENT ON COLUMN pinterest.account.identity_due IS 'When a worker next asks Pinterest whose account this is, because Pinterest did not answer that at the connect. Until it is known nothing is imported through the account, and it may prove to be another row''s account; NULL: known, or cannot be known';

-- From one sequence for all accounts: a number that was given once never comes again, also not after a disconnect.
CREATE SEQUENCE pinterest.token_generation;
COMMENT ON SEQUENCE pinterest.token_generation IS 'Generations of tokens';

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
    warned_generation bigint
);
CREATE INDEX token_unsettled ON pinterest.token (account_id) WHERE unsettled;
COMMENT ON TABLE pinterest.token IS 'Sealed OAuth tokens; granted to nobody';
COMMENT ON COLUMN pinterest.token.generation IS 'Changes with every stored answer and is never reused; bound into the sealed bytes and compared before they are replaced';
COMMENT ON COLUMN pinterest.token.consent IS 'The generation that the user''s own act stored; refreshes keep it, so the higher value is the later consent';
COMMENT ON COLUMN pinterest.token.previous_refresh_token IS 'The refresh token before the current one, for an answer that got lost';
COMMENT ON COLUMN pinterest.token.refresh_after IS 'When the refresh worker renews the tokens';
COMMENT ON COLUMN pinterest.token.attempt_by IS 'The process with a refresh under way; the attempt is open until its answer is stored, or as long as the process lives';
COMMENT ON COLUMN pinterest.token.uncertain IS 'An answer to a refresh of these tokens was lost: they may have been replaced at Pinterest';
COMMENT ON COLUMN pinterest.token.granted_scopes IS 'The scopes that the last answer named';
COMMENT ON COLUMN pinterest.token.unsettled IS 'The consequences of the last stored answer have yet to be recorded: the account''s status, its app''s pause, its waiting imports. This is done in separate transactions, so that no lock on those rows prevents an answer from being stored';
COMMENT ON COLUMN pinterest.token.warned_generation IS 'The generation of which was said that it lapses soon';

-- Without a foreign key: a row is inserted while others have the account locked. Whoever finds one puts it where it belongs,
-- or deletes it.
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
COMMENT ON TABLE pinterest.token_answer IS 'Answers to refreshes that wait for a lock on the row of their tokens; granted to nobody';
COMMENT ON COLUMN pinterest.token_answer.expected IS 'The generation of the tokens that they replace; if other tokens have been stored meanwhile, the answer is discarded';
COMMENT ON COLUMN pinterest.token_answer.generation IS 'The generation for which they are sealed';

CREATE TABLE pinterest.oauth_state (
    state_hash bytea PRIMARY KEY,
    owner pinterest.role_owner NOT NULL,
    app_id bigint NOT NULL REFERENCES pinterest.app ON DELETE CASCADE,
    redirect_uri text NOT NULL,
    scopes text[] NOT NULL,
    expires_at timestamptz NOT NULL
);
COMMENT ON TABLE pinterest.oauth_state IS 'Authorizations under way: SHA-256 of the single-use state; granted to nobody';

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
    PRIMARY KEY (account_id, board_id)
);
CREATE INDEX board_sync ON pinterest.board (next_sync_at) WHERE next_sync_at IS NOT NULL;
COMMENT ON TABLE pinterest.board IS 'Boards seen through an account';
COMMENT ON COLUMN pinterest.board.pin_count IS 'As Pinterest reports it; counts pins that an app may not be able to see';
COMMENT ON COLUMN pinterest.board.pins_modified_at IS 'Pinterest''s change marker, board_pins_modified_at';
COMMENT ON COLUMN pinterest.board.imported_modified_at IS 'The change marker at the last complete import; equal to pins_modified_at: nothing to do';
COMMENT ON COLUMN pinterest.board.imported_pin_count IS 'pin_count at the last complete import; if it differs now, the board has changed, whatever the marker says';
COMMENT ON COLUMN pinterest.board.imported_pins IS 'Pins that were on the board at the last complete import';
COMMENT ON COLUMN pinterest.board.unlisted_pins IS 'How many more pins Pinterest counted than it listed at the last complete import: pins that it is known not to list';
COMMENT ON COLUMN pinterest.board.gap_pins IS 'By how many pins listings have been short since gap_since, each time the same and with no known pin missing; after a day it becomes unlisted_pins';
COMMENT ON COLUMN pinterest.board.confirmed_at IS 'When Pinterest last confirmed all pins that are on the board; their age counts from then, see pinterest.retention';
COMMENT ON COLUMN pinterest.board.sync_keeps_images IS 'keep_images of the import that set sync_every, for those that follow';
COMMENT ON COLUMN pinterest.board.sync_skips_ai IS 'skip_ai of the import that set sync_every, for those that follow';
COMMENT ON COLUMN pinterest.board.imported_without_ai IS 'The last import of the whole board was asked to skip pins disclosed as made or changed with AI';
COMMENT ON COLUMN pinterest.board.sync_every IS 'The worker imports the board anew after this time, see pinterest_sync_board()';

CREATE TABLE pinterest.board_section (
    account_id bigint NOT NULL,
    board_id text NOT NULL,
    section_id text NOT NULL,
    name text NOT NULL,
    PRIMARY KEY (account_id, board_id, section_id),
    FOREIGN KEY (account_id, board_id) REFERENCES pinterest.board ON DELETE CASCADE
);
COMMENT ON TABLE pinterest.board_section IS 'Sections of boards; pin.board_section_id refers to them';

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
    PRIMARY KEY (account_id, pin_id),
    FOREIGN KEY (account_id, board_id) REFERENCES pinterest.board ON DELETE CASCADE
);
CREATE INDEX pin_board ON pinterest.pin (account_id, board_id);
-- For pinterest.retention.
CREATE INDEX pin_removed ON pinterest.pin (removed_at) WHERE removed_at IS NOT NULL;
COMMENT ON TABLE pinterest.pin IS 'Pins of imported boards';
COMMENT ON COLUMN pinterest.pin.link IS 'Where the pin leads';
COMMENT ON COLUMN pinterest.pin.link_domain IS 'The host of the link, in lower case and without www.; NULL where the link is no address of the web';
COMMENT ON COLUMN pinterest.pin.creative_type IS 'An advertising format, of an open list; says nothing reliable about the media';
COMMENT ON COLUMN pinterest.pin.is_product IS 'The pin shows a product of a catalogue; NULL: Pinterest does not say';
COMMENT ON COLUMN pinterest.pin.product_tags IS 'The list of products tagged in the pin, as Pinterest sent it; NULL: it sent none';
COMMENT ON COLUMN pinterest.pin.ai_disclosures IS 'What the pin''s maker has disclosed about the use of AI, as Pinterest names it: AI_MODIFIED (made or changed with AI), SYNTHETIC_PERFORMER (a person shown is generated), or a value not known yet; empty: nothing is disclosed; NULL: Pinterest does not say';
COMMENT ON COLUMN pinterest.pin.is_ai IS 'Something is disclosed in ai_disclosures. False does not mean that no AI was used: only that nobody has said so';
COMMENT ON COLUMN pinterest.pin.created_at IS 'When the pin was saved, as Pinterest tells it; weights by age take first_seen_at instead where this is absent, before 2009, or later than first_seen_at';
COMMENT ON COLUMN pinterest.pin.first_seen_at IS 'When the pin was first listed';
COMMENT ON COLUMN pinterest.pin.imported_at IS 'When the pin was last listed';
COMMENT ON COLUMN pinterest.pin.raw IS 'The pin as Pinterest sent it; json, not jsonb: text with \u0000 must not fail an import';
COMMENT ON COLUMN pinterest.pin.no_image IS 'Why the pin has no image; NULL where it has one';
COMMENT ON COLUMN pinterest.pin.import_id IS 'The import that saw the pin last';
COMMENT ON COLUMN pinterest.pin.missing_since IS 'When a whole listing first lacked the pin, together with so many others that another listing has to confirm it';
COMMENT ON COLUMN pinterest.pin.removed_at IS 'When an import found the pin gone from the board';

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
COMMENT ON TABLE pinterest.model IS 'What made an embedding: weights, precision and preprocessing; vectors of different models have no common distance. The view pinterest.models is made for reading';
COMMENT ON COLUMN pinterest.model.fingerprint IS 'SHA-256 over weights, precision, preprocessing and dimension: models that differ in one of them are different';
COMMENT ON COLUMN pinterest.model.precision IS 'Precision of the matrix products, as pinterest.clip_precision chose it: f32, bf16, or int8 with the size of its groups';
COMMENT ON COLUMN pinterest.model.preprocessing IS 'Names the procedure from encoded picture to model input';
COMMENT ON COLUMN pinterest.model.used_at IS 'When an import last began to work with it';

-- One row per image of a pin: a carousel has several, a video has its cover. It is the work item as well.
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
-- 512 dimensions are 2,056 bytes, just over the toast threshold; inline, an exact scan is several times faster.
ALTER TABLE pinterest.pin_image ALTER COLUMN embedding SET STORAGE PLAIN;
-- In the order in which images are claimed, and where a claim looks for the same picture.
CREATE INDEX pin_image_ready ON pinterest.pin_image (account_id, import_id, next_attempt_at, pin_id, position)
    WHERE state OPERATOR(pg_catalog.=) 'pending';
CREATE INDEX pin_image_pending ON pinterest.pin_image (content_hash) WHERE state OPERATOR(pg_catalog.=) 'pending';
CREATE INDEX pin_image_missed ON pinterest.pin_image (account_id, missed_by) WHERE missed_by IS NOT NULL;
-- By the hash first: pinterest.reuse_across_accounts looks for it in all accounts.
CREATE INDEX pin_image_content ON pinterest.pin_image (content_hash, account_id) WHERE content_hash IS NOT NULL;
CREATE INDEX pin_image_sha256 ON pinterest.pin_image (sha256, account_id) WHERE sha256 IS NOT NULL;
COMMENT ON TABLE pinterest.pin_image IS 'The images of pins, their state and their CLIP embeddings';
COMMENT ON COLUMN pinterest.pin_image.position IS '0-based place within the pin';
COMMENT ON COLUMN pinterest.pin_image.candidates IS 'URLs that Pinterest gave for this image, best first: [{"size", "url", "cropped"}]';
COMMENT ON COLUMN pinterest.pin_image.content_hash IS 'The content hash in the CDN''s URLs: equal hash, equal picture';
COMMENT ON COLUMN pinterest.pin_image.reason IS 'Why the image is skipped or failed, or why the last attempt on a pending one failed';
COMMENT ON COLUMN pinterest.pin_image.reason_code IS 'The reason in a word, as pinterest.import_report counts it';
COMMENT ON COLUMN pinterest.pin_image.import_id IS 'The import that brought the image to its state, or has to';
COMMENT ON COLUMN pinterest.pin_image.fence IS 'Grows with every claim; a result is recorded only under the fence it was claimed with';
COMMENT ON COLUMN pinterest.pin_image.source_size IS 'The size that was downloaded';
COMMENT ON COLUMN pinterest.pin_image.cropped IS 'The only size to be had was one that Pinterest crops to a fixed box';
COMMENT ON COLUMN pinterest.pin_image.animated IS 'The picture has several frames, of which the first is embedded: see pinterest.animated_images';
COMMENT ON COLUMN pinterest.pin_image.sha256 IS 'Of the downloaded bytes';
COMMENT ON COLUMN pinterest.pin_image.model_id IS 'What made the embedding; pinterest_reembed_board() has the present model make those that others made';
COMMENT ON COLUMN pinterest.pin_image.embedding IS 'CLIP ViT-B/32 image embedding, 512 dimensions, unit length; NULL until state is embedded; while pending it may be that of the previous picture, until the new one has been computed';
COMMENT ON COLUMN pinterest.pin_image.image IS 'The downloaded bytes, kept only where the import asked for it';
COMMENT ON COLUMN pinterest.pin_image.stale IS 'Embedding and bytes are those of the previous picture: the listing has a new one, which has yet to be downloaded and embedded';
COMMENT ON COLUMN pinterest.pin_image.previous_hash IS 'The content hash of the previous picture, if stale';
COMMENT ON COLUMN pinterest.pin_image.missed_by IS 'The last import that saw the pin without this image';
COMMENT ON COLUMN pinterest.pin_image.misses IS 'How many imports in a row saw the pin without this image, or with a new picture that could not be downloaded or decoded; at the second, the image or its old embedding is deleted';

CREATE TABLE pinterest.import (
    import_id bigint GENERATED ALWAYS AS IDENTITY,
    account_id bigint NOT NULL REFERENCES pinterest.account ON DELETE CASCADE,
    board_reference text NOT NULL,
    board_id text,
    keep_images boolean NOT NULL DEFAULT false,
    skip_ai boolean NOT NULL DEFAULT false,
    sections text[],
    section_ids text[],
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
    PRIMARY KEY (account_id, import_id),
    CONSTRAINT import_due_waits
        CHECK (due IS NULL OR state OPERATOR(pg_catalog.=) ANY (ARRAY['queued', 'waiting_quota', 'waiting_access']))
) WITH (fillfactor = 70);
CREATE INDEX import_id ON pinterest.import (import_id);
-- The queue. An import sleeps until its wake_at, is due then, and is claimed in its turn: each step reads the head of one of
-- these, however many wait behind it.
CREATE INDEX import_sleeping ON pinterest.import (wake_at) WHERE NOT due;
CREATE INDEX import_turn ON pinterest.import (turn_owner, account_id) WHERE due;
CREATE INDEX import_due ON pinterest.import (account_id, wake_at, import_id) WHERE due;
CREATE INDEX import_held ON pinterest.import (account_id)
    WHERE due IS NULL AND state OPERATOR(pg_catalog.=) ANY (ARRAY['queued', 'waiting_quota', 'waiting_access']);
CREATE INDEX import_running ON pinterest.import (account_id, board_id) WHERE state OPERATOR(pg_catalog.=) 'running';
CREATE INDEX import_open ON pinterest.import (account_id, board_id)
    WHERE state OPERATOR(pg_catalog.=) ANY (ARRAY['queued', 'running', 'waiting_quota', 'waiting_access', 'needs_reauth']);
COMMENT ON TABLE pinterest.import IS 'Imports of boards, past and under way; the view pinterest.imports is made for reading';
COMMENT ON COLUMN pinterest.import.bookmark IS 'Where the listing goes on; commits together with the page before it';
COMMENT ON COLUMN pinterest.import.sections IS 'Names or ids of the sections to import; NULL: the whole board';
COMMENT ON COLUMN pinterest.import.skip_ai IS 'Images of pins disclosed as made or changed with AI are skipped';
COMMENT ON COLUMN pinterest.import.max_images IS 'The listing ends with the pin that brings so many images';
COMMENT ON COLUMN pinterest.import.sync_every IS 'What board.sync_every becomes when the import completes';
COMMENT ON COLUMN pinterest.import.reembed IS 'Made by pinterest_reembed_board(): lists nothing, and works on images whose embedding another model made';
COMMENT ON COLUMN pinterest.import.model_id IS 'The model that embeds its images; another one, where it changed while the import was under way, takes them all over';
COMMENT ON COLUMN pinterest.import.coverage IS 'How much of the board the listing covered; only a whole one shows which pins are gone';
COMMENT ON COLUMN pinterest.import.pins_new IS 'Of the listed pins, those that this board had not shown before';
COMMENT ON COLUMN pinterest.import.modified_at_start IS 'The board''s change marker when the listing began';
COMMENT ON COLUMN pinterest.import.error_code IS 'SQLSTATE of the reason';
COMMENT ON COLUMN pinterest.import.wake_at IS 'When a queued or waiting import goes on';
COMMENT ON COLUMN pinterest.import.due IS 'Of a waiting import: true once its time has come, false before, NULL while its account is paused or cannot be used';
COMMENT ON COLUMN pinterest.import.turn_owner IS 'The account''s owner when the import became due; owners take turns';
COMMENT ON COLUMN pinterest.import.deaths IS 'How often a worker ended while it had the import in hand, since its last progress; the third time it fails';
COMMENT ON COLUMN pinterest.import.listed_at IS 'When the last page was stored; the listing is judged after that';
COMMENT ON COLUMN pinterest.import.pins_unreadable IS 'Listed items that could not be read';
COMMENT ON COLUMN pinterest.import.doubts IS 'Pins and images that were listed otherwise than before, and that the next import has to check again';
COMMENT ON COLUMN pinterest.import.fence IS 'Grows with every claim; a worker records only under the fence it claimed with';

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
COMMENT ON TABLE pinterest.import_outcome IS 'What became of the pins and images of each import, counted; the view pinterest.import_report is made for reading';

-- Either an app's (trial: one budget for all of its accounts), or an account's.
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
COMMENT ON TABLE pinterest.quota_ledger IS 'Requests that Pinterest allows and what is left of them; the view pinterest.quota is made for reading';
COMMENT ON COLUMN pinterest.quota_ledger.pace IS 'The least time between two requests, where Pinterest tells a policy of a few seconds';
COMMENT ON COLUMN pinterest.quota_ledger.paced_until IS 'No request is made before';
COMMENT ON COLUMN pinterest.quota_ledger.refused_in_row IS 'Refusals since the last answer that did not say how long to wait';
COMMENT ON COLUMN pinterest.quota_ledger.observed_at IS 'When an answer of Pinterest''s last said how it stands; NULL: what is documented';

-- A vector column of a user's table that follows another column. The trigger pinterest_track_<id> whose first argument is
-- `tie` ties the row to its table, and goes along through renames, dumps and restores; the number alone would start anew in
-- a copy of the schema. The oid says where to look for the trigger first, and is worth nothing without it.
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
COMMENT ON TABLE pinterest.tracked_column IS 'Vector columns of your tables that follow another column; the view pinterest.tracked is made for reading';
COMMENT ON COLUMN pinterest.tracked_column.owner IS 'The table''s owner when it was declared; a table that changed hands is not worked on';
COMMENT ON COLUMN pinterest.tracked_column.tie IS 'The first argument of the triggers on the table, which connects the table with this row';
COMMENT ON COLUMN pinterest.tracked_column.table_oid IS 'The table where the triggers were last found; in a restored dump it is the oid of another table, or of none';
COMMENT ON COLUMN pinterest.tracked_column.table_name IS 'The name when it was declared, for information; the triggers connect the table with this row';
COMMENT ON COLUMN pinterest.tracked_column.problem IS 'Why no row of it can be worked on now; NULL: nothing is in the way';
COMMENT ON COLUMN pinterest.tracked_column.problem_code IS 'SQLSTATE of the problem';
COMMENT ON COLUMN pinterest.tracked_column.pauses IS 'Number of pauses in a row; each pause is twice as long as the previous one';
COMMENT ON COLUMN pinterest.tracked_column.next_attempt_at IS 'When the workers look again whether the problem is gone';

-- From one sequence for all rows: a row that is deleted and inserted again never looks like the one that a worker has read.
CREATE SEQUENCE pinterest.tracked_version;
COMMENT ON SEQUENCE pinterest.tracked_version IS 'Versions of tracked rows';

-- One row per row of the user's table whose source is not NULL; the work item. There is no foreign key on tracked_column:
-- it would be checked with the snapshot of the user's transaction, which may be older than the declaration, and every writer
-- would lock the one row. Whoever ends a declaration locks its table first, and deletes the rows along with it.
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
CREATE INDEX tracked_row_model ON pinterest.tracked_row (tracked_column_id, model_id) WHERE model_id IS NOT NULL;
COMMENT ON TABLE pinterest.tracked_row IS 'The rows of tracked tables that have a source, and how it stands with their embeddings; pinterest.tracked and pinterest.tracked_failures are made for reading';
COMMENT ON COLUMN pinterest.tracked_row.key IS 'The key columns'' values as text';
COMMENT ON COLUMN pinterest.tracked_row.reason IS 'Why the row failed, or why the last attempt on a pending one did';
COMMENT ON COLUMN pinterest.tracked_row.reason_code IS 'SQLSTATE of the reason';
COMMENT ON COLUMN pinterest.tracked_row.version IS 'Grows with every change of the source; an embedding is recorded only under the version that was read';
COMMENT ON COLUMN pinterest.tracked_row.fence IS 'Grows with every claim; a result is recorded only under the fence it was claimed with';
COMMENT ON COLUMN pinterest.tracked_row.deaths IS 'Number of processes that ended while they ran the table''s code for this row; at three it fails';
COMMENT ON COLUMN pinterest.tracked_row.refusals IS 'Number of attempts since the last success that did not count, because the table refused them with an error that passes, such as a lock; from the twentieth on they count';
COMMENT ON COLUMN pinterest.tracked_row.source_sha256 IS 'Of the source that the embedding in the table was made from';
COMMENT ON COLUMN pinterest.tracked_row.model_id IS 'What made the embedding that is in the table; NULL: none is';

-- Without these calls pg_dump leaves the rows out, without a word.
SELECT pg_catalog.pg_extension_config_dump('pinterest.installation', '');
SELECT pg_catalog.pg_extension_config_dump('pinterest.app', '');
SELECT pg_catalog.pg_extension_config_dump('pinterest.app_app_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('pinterest.account', '');
SELECT pg_catalog.pg_extension_config_dump('pinterest.account_account_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('pinterest.token', '');
SELECT pg_catalog.pg_extension_config_dump('pinterest.token_generation', '');
SELECT pg_catalog.pg_extension_config_dump('pinterest.token_answer', '');
SELECT pg_catalog.pg_extension_config_dump('pinterest.oauth_state', '');
SELECT pg_catalog.pg_extension_config_dump('pinterest.board', '');
SELECT pg_catalog.pg_extension_config_dump('pinterest.board_section', '');
SELECT pg_catalog.pg_extension_config_dump('pinterest.pin', '');
SELECT pg_catalog.pg_extension_config_dump('pinterest.model', '');
SELECT pg_catalog.pg_extension_config_dump('pinterest.model_model_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('pinterest.pin_image', '');
SELECT pg_catalog.pg_extension_config_dump('pinterest.import', '');
SELECT pg_catalog.pg_extension_config_dump('pinterest.import_import_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('pinterest.import_outcome', '');
SELECT pg_catalog.pg_extension_config_dump('pinterest.quota_ledger', '');
SELECT pg_catalog.pg_extension_config_dump('pinterest.quota_ledger_quota_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('pinterest.tracked_column', '');
SELECT pg_catalog.pg_extension_config_dump('pinterest.tracked_column_tracked_column_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('pinterest.tracked_version', '');
SELECT pg_catalog.pg_extension_config_dump('pinterest.tracked_row', '');
