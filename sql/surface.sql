-- The functions that the library defines: what \df+ says of them, and that nobody may call them until somebody grants it.

COMMENT ON FUNCTION pinterest_register_app(text, text, text, text) IS
    'Registers an app of the calling role (name, client id, client secret, redirect URI literally as at Pinterest), or replaces it; returns its id. Call it with bind parameters: the secret is sealed before it is stored, but the statement itself is the server''s to log';
COMMENT ON FUNCTION pinterest_authorize_url(text, boolean) IS
    'The address of the page where a user lets the app read their boards, secret ones too if asked; good for ten minutes and one use';
COMMENT ON FUNCTION pinterest_connect(text, text) IS
    'Exchanges the code and state of the redirect for tokens and stores them sealed; returns the account''s id';
COMMENT ON FUNCTION pinterest_store_token(text, text, integer, integer, text, text, bigint, text) IS
    'Stores tokens that the app obtained itself; returns the account''s id. Call it by SELECT, with bind parameters, on a connection whose statements are not logged: log_statement, log_min_duration_statement, log_parameter_max_length_on_error, auto_explain and debug_print_plan can show the argument. pinterest_connect() has no such channel';
COMMENT ON FUNCTION pinterest_disconnect(bigint, boolean) IS
    'Deletes an account''s tokens; with purge also the account and all pins, images and vectors imported through it';
COMMENT ON FUNCTION pinterest_list_boards(bigint) IS
    'The account''s boards as Pinterest lists them now';
COMMENT ON FUNCTION pinterest_import_board(text, bigint, boolean) IS
    'Queues the import of a board, by id, title or address; returns the import''s id. A worker does it after the commit: see pinterest.imports';
COMMENT ON FUNCTION pinterest_wait_for_import(bigint, interval) IS
    'Waits until an import has ended, or for the timeout; returns its state';
COMMENT ON FUNCTION pinterest_cancel_import(bigint) IS
    'Ends an import, keeping what is in; false if it had ended';
COMMENT ON FUNCTION pinterest_embed_image(bytea) IS
    'CLIP ViT-B/32 embedding of a JPEG, PNG or WebP: 512 dimensions, unit length';
COMMENT ON FUNCTION pinterest_embed_text(text) IS
    'CLIP ViT-B/32 embedding of a text: 512 dimensions, unit length, comparable with those of images';
COMMENT ON FUNCTION pinterest_board_embedding(text, bigint) IS
    'Direction of the mean of a board''s image embeddings, unit length; the board by id, title or address';
COMMENT ON FUNCTION pinterest_purge_board(text, bigint) IS
    'Deletes a board with its pins, images, vectors and imports; returns the counts';
COMMENT ON FUNCTION pinterest_doctor() IS
    'Checks what an import depends on: one row each, with a hint where something is wrong';
COMMENT ON FUNCTION pinterest_grant(text, text) IS
    'Grants a role what it needs: user (connect, import, search), reader (search) or admin';
COMMENT ON FUNCTION pinterest_adopt() IS
    'Lets a restored copy of the database send requests from this cluster; only when the original is gone for good';

REVOKE ALL ON FUNCTION
    pinterest.board_mean(bigint, text),
    pinterest_register_app(text, text, text, text),
    pinterest_authorize_url(text, boolean),
    pinterest_connect(text, text),
    pinterest_store_token(text, text, integer, integer, text, text, bigint, text),
    pinterest_disconnect(bigint, boolean),
    pinterest_list_boards(bigint),
    pinterest_import_board(text, bigint, boolean),
    pinterest_wait_for_import(bigint, interval),
    pinterest_cancel_import(bigint),
    pinterest_embed_image(bytea),
    pinterest_embed_text(text),
    pinterest_board_embedding(text, bigint),
    pinterest_purge_board(text, bigint),
    pinterest_doctor(),
    pinterest_grant(text, text),
    pinterest_adopt()
FROM PUBLIC;
